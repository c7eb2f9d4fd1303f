"""What the reconciler keeps and asks: how far it has looked, which runs miss their end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.reconcile import Held, Left
from domain.saga import ENDED, SagaState
from storage.ledger_tables import Hold
from storage.saga_log import RUNS
from storage.tables import Installation, SagaRun, Tenant

HOLDS: Any = Hold.__table__  # type: ignore[attr-defined]
FACTS: Any = Installation.__table__  # type: ignore[attr-defined]
CURSOR = "reconcile_cursor"


@dataclass(frozen=True)
class LeftHold:
    """A hold that is still placed, and the ended run that placed it."""

    hold: Held
    workflow_id: str


async def looked_until(session: AsyncSession) -> datetime | None:
    """Closed runs up to then were looked at. At first: when the oldest open run was accepted."""
    content = await session.scalar(select(FACTS.c.content).where(FACTS.c.name == CURSOR))
    if content is not None:
        return datetime.fromisoformat(content)
    oldest = select(func.min(RUNS.c.accepted_at)).where(RUNS.c.state.not_in(ENDED))
    found: datetime | None = await session.scalar(oldest)
    return found


async def move_cursor(session: AsyncSession, to: datetime) -> None:
    moved = update(FACTS).where(FACTS.c.name == CURSOR).values(content=to.isoformat())
    if (await session.execute(moved)).rowcount == 0:  # type: ignore[attr-defined]
        session.add(Installation(name=CURSOR, content=to.isoformat()))


async def ended_among(session: AsyncSession, workflow_ids: Sequence[str]) -> set[str]:
    query = select(RUNS.c.workflow_id).where(
        RUNS.c.workflow_id.in_(workflow_ids), RUNS.c.state.in_(ENDED)
    )
    return set(await session.scalars(query))


async def find_run(session: AsyncSession, workflow_id: str) -> SagaRun | None:
    return await session.get(SagaRun, workflow_id)


async def is_tenant(session: AsyncSession, tenant_id: str) -> bool:
    return await session.get(Tenant, tenant_id) is not None


async def held_by(session: AsyncSession, workflow_id: str) -> Left:
    """The holds that this run placed and that are neither settled nor released."""
    query = select(HOLDS).where(HOLDS.c.workflow_id == workflow_id, HOLDS.c.state == "placed")
    return tuple(_held(row) for row in await session.execute(query.order_by(HOLDS.c.id)))


async def settle(session: AsyncSession, workflow_id: str) -> bool:
    """Nobody need look after this run any more. False if nobody needed to."""
    run = await session.get_one(SagaRun, workflow_id, populate_existing=True)
    failure = run.failure or {}
    if not needs_a_person(run):
        return False
    run.failure = {**failure, "details": {"manual_intervention_required": False, "held": []}}
    await session.flush()
    return True


def needs_a_person(run: SagaRun) -> bool:
    """Whether the run was ended from outside, and what it did was not looked after since."""
    details = (run.failure or {}).get("details") or {}
    return bool(details.get("manual_intervention_required"))


async def left_holds(session: AsyncSession, *, most: int = 100) -> list[LeftHold]:
    """Holds that nobody will settle or release any more: their runs have ended."""
    query = (
        select(HOLDS)
        .join(RUNS, RUNS.c.workflow_id == HOLDS.c.workflow_id)
        .where(HOLDS.c.state == "placed", RUNS.c.state.in_(ENDED))
        .order_by(HOLDS.c.id)
        .limit(most)
    )
    return [LeftHold(_held(row), row.workflow_id) for row in await session.execute(query)]


async def runs_in_need(session: AsyncSession, *, most: int) -> Sequence[SagaRun]:
    """Runs that were ended from outside and that nobody has looked after since."""
    needed = RUNS.c.failure["details"]["manual_intervention_required"].as_boolean()
    query = select(SagaRun).where(RUNS.c.state.in_(ENDED), needed.is_(True))
    return (await session.scalars(query.order_by(RUNS.c.ended_at).limit(most))).all()


async def stuck_runs(session: AsyncSession, *, most: int) -> Sequence[str]:
    query = select(RUNS.c.workflow_id).where(RUNS.c.state == SagaState.STUCK)
    return (await session.scalars(query.order_by(RUNS.c.started_at).limit(most))).all()


async def not_begun(session: AsyncSession, *, accepted_before: datetime) -> int:
    """How many runs were accepted before then and have not begun."""
    query = (
        select(func.count())
        .select_from(RUNS)
        .where(RUNS.c.state == SagaState.ACCEPTED, RUNS.c.accepted_at < accepted_before)
    )
    return await session.scalar(query) or 0


def _held(row: Any) -> Held:
    return Held(row.id, row.amount_minor, row.ledger_account_id.rpartition("/")[2])

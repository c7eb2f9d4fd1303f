"""Accept a saga: its run and what it is about, in one transaction, before the engine hears of it.

What is accepted is never lost: if the engine is down, or this process dies before it could start
the workflow, the worker finds the row, still `accepted`, and starts it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from domain.errors import DuplicateRequest
from domain.saga import SagaState
from storage.saga_log import RUNS
from storage.tables import SagaRun

Place = tuple[datetime, str]
BEGINNING: Place = (datetime(1970, 1, 1, tzinfo=UTC), "")


async def find_accepted(session: AsyncSession, run: SagaRun) -> SagaRun | None:
    """The same run, accepted before: asking twice is asking once.

    Raises DuplicateRequest when the id is taken by anything but the very same request.
    """
    known = await session.get(SagaRun, run.workflow_id)
    if known is None:
        return None
    if (known.tenant_id, known.request) != (run.tenant_id, run.request):
        raise _taken(run)
    return known


async def accept(session: AsyncSession, run: SagaRun, rows: Sequence[SQLModel]) -> None:
    """Write the run and its resource's row. Raises DuplicateRequest."""
    for row in rows:
        if await session.get(type(row), row.id) is not None:  # type: ignore[attr-defined]
            raise _taken(run)
    session.add_all([run, *rows])
    await session.flush()


def _taken(run: SagaRun) -> DuplicateRequest:
    id = run.workflow_id.partition("/")[2]
    return DuplicateRequest(f"the id {id} belongs to another request", field="id")


async def runs_to_start(
    session: AsyncSession, *, accepted_before: datetime, after: Place = BEGINNING, most: int = 100
) -> Sequence[SagaRun]:
    """Runs that were accepted a while ago and that the engine never began, the oldest first.

    `after` is the place of the last one seen: a backlog that only waits for a worker must not
    hide what was never started.
    """
    accepted_at, workflow_id = after
    query = (
        select(SagaRun)
        .where(
            RUNS.c.state == SagaState.ACCEPTED,
            RUNS.c.accepted_at < accepted_before,
            RUNS.c.accepted_at >= accepted_at,
            or_(RUNS.c.accepted_at > accepted_at, RUNS.c.workflow_id > workflow_id),
        )
        .order_by(RUNS.c.accepted_at, RUNS.c.workflow_id)
        .limit(most)
    )
    return (await session.scalars(query)).all()


def place_of(run: SagaRun) -> Place:
    return run.accepted_at, run.workflow_id

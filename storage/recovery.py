"""An endpoint's recovery as rows: what to probe with, what to let go next, what to leave out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.health import DRAIN_MAX, drain_size
from storage import health
from storage.health import MOVED_MAX, PARKED, SYSTEM, oldest_parked, start_draining
from storage.outbox import DELIVERIES, ENDPOINTS
from storage.redelivery import TALLIES, By, note

CANDIDATES_MAX = 10

CANDIDATES = text(
    """
    SELECT id FROM deliveries AS candidate
    WHERE endpoint_id = :endpoint AND state = 'parked' AND hold IS NULL
      AND (ordering_key IS NULL OR NOT EXISTS (
        SELECT 1 FROM deliveries AS earlier
        WHERE earlier.endpoint_id = :endpoint AND earlier.ordering_key = candidate.ordering_key
          AND earlier.state IN ('claimed','retrying','parked') AND earlier.id < candidate.id))
    ORDER BY id LIMIT :most
    """
)


@dataclass(frozen=True)
class Situation:
    """Where the recovery stands."""

    endpoint_id: str
    health: str
    deleted: bool
    due_at: datetime | None
    round_number: int
    probe_first: str | None
    drain: str
    drain_until: str | None
    drain_actor: str


async def situation(session: AsyncSession, endpoint_id: str) -> Situation | None:
    query = (
        select(
            ENDPOINTS.c.health,
            ENDPOINTS.c.deleted_at,
            TALLIES.c.recovery_due_at,
            TALLIES.c.recovery_round,
            TALLIES.c.probe_first,
            TALLIES.c.drain,
            TALLIES.c.drain_until,
            TALLIES.c.drain_actor,
        )
        .join(TALLIES, TALLIES.c.endpoint_id == ENDPOINTS.c.id)
        .where(ENDPOINTS.c.id == endpoint_id)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    return Situation(
        endpoint_id,
        health=row.health,
        deleted=row.deleted_at is not None,
        due_at=row.recovery_due_at,
        round_number=row.recovery_round,
        probe_first=row.probe_first,
        drain=row.drain,
        drain_until=row.drain_until,
        drain_actor=row.drain_actor,
    )


async def candidates(session: AsyncSession, endpoint_id: str) -> list[str]:
    """Deliveries to probe with, the oldest first: none that has to wait for another one."""
    found = await session.scalars(CANDIDATES, {"endpoint": endpoint_id, "most": CANDIDATES_MAX})
    return list(found)


async def close_breaker(session: AsyncSession, endpoint_id: str, *, now: datetime) -> None:
    """Nothing is left to probe with: what is published next is the probe."""
    await start_draining(session, endpoint_id, now=now)


async def put_off(session: AsyncSession, endpoint_id: str, *, until: datetime | None) -> None:
    """When the next step is due; None if there is none."""
    await session.execute(
        update(TALLIES).where(TALLIES.c.endpoint_id == endpoint_id).values(recovery_due_at=until)
    )


async def let_go_batch(
    session: AsyncSession, endpoint_id: str, *, every: timedelta, now: datetime
) -> bool:
    """Let the next batch of a recovering endpoint be claimed; its size doubles while it goes well.

    Returns whether anything is left. If not, the endpoint is healthy.
    """
    query = (
        select(TALLIES.c.recovery_round, ENDPOINTS.c.health)
        .join(ENDPOINTS, ENDPOINTS.c.id == TALLIES.c.endpoint_id)
        .where(TALLIES.c.endpoint_id == endpoint_id)
        .with_for_update(of=TALLIES)
    )
    row = (await session.execute(query)).one()
    if row.health != "recovering":
        return True
    size = drain_size(row.recovery_round, await _in_line(session, endpoint_id))
    parked = await oldest_parked(session, endpoint_id, most=size + 1)
    await health.let_go(session, [one.id for one in parked[:size]])
    await session.execute(
        update(TALLIES)
        .where(TALLIES.c.endpoint_id == endpoint_id)
        .values(recovery_round=row.recovery_round + bool(size), recovery_due_at=now + every)
    )
    return len(parked) > size


async def finish(session: AsyncSession, endpoint_id: str, *, now: datetime) -> None:
    """Nothing is parked any more. What is parked by a race from now on, the sweep finds."""
    await session.execute(
        update(ENDPOINTS)
        .where(ENDPOINTS.c.id == endpoint_id, ENDPOINTS.c.health == "recovering")
        .values(health="healthy", failing_since=None, updated_at=now)
    )
    await put_off(session, endpoint_id, until=None)


async def newest_per_key(session: AsyncSession, where: Situation) -> set[str]:
    """The ids to keep: of each key, or of each event type where there is no key."""
    key = func.coalesce(DELIVERIES.c.ordering_key, DELIVERIES.c.event_type)
    query = (
        select(func.max(DELIVERIES.c.id))
        .where(DELIVERIES.c.endpoint_id == where.endpoint_id, PARKED)
        .group_by(key)
    )
    return set(await session.scalars(query))


async def leave_out(
    session: AsyncSession, where: Situation, keep: set[str], after: str, *, now: datetime
) -> str | None:
    """Cancel a batch of what was parked before the endpoint was enabled, but for `keep`.

    Returns where the next batch begins, or None if there is none.
    """
    query = (
        select(DELIVERIES.c.id, DELIVERIES.c.state)
        .where(
            DELIVERIES.c.endpoint_id == where.endpoint_id,
            PARKED,
            DELIVERIES.c.id > after,
            DELIVERIES.c.id <= (where.drain_until or ""),
        )
        .order_by(DELIVERIES.c.id)
        .limit(MOVED_MAX)
    )
    rows: Sequence[Any] = (await session.execute(query)).all()
    left_out = [row for row in rows if row.id not in keep]
    reason = f"left out when enabled: {where.drain}"
    await session.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id.in_([row.id for row in left_out]))
        .values(state="cancelled", reason=f"enabled_with_{where.drain}", settled_at=now)
    )
    await note(session, left_out, "cancelled", By(where.drain_actor, reason), now=now)
    return rows[-1].id if len(rows) == MOVED_MAX else None


async def drain_all(session: AsyncSession, endpoint_id: str) -> None:
    """From now on all that is parked is sent."""
    await session.execute(
        update(TALLIES)
        .where(TALLIES.c.endpoint_id == endpoint_id)
        .values(drain="drain", drain_until=None, drain_actor=SYSTEM)
    )


async def _in_line(session: AsyncSession, endpoint_id: str) -> int:
    """How many are pending, as far as it matters."""
    line = (
        select(DELIVERIES.c.id)
        .join(ENDPOINTS, ENDPOINTS.c.id == DELIVERIES.c.endpoint_id)
        .where(
            text("state = 'pending'"),
            text("priority IN (0, 1)"),
            DELIVERIES.c.tenant_id == ENDPOINTS.c.tenant_id,
            ENDPOINTS.c.id == endpoint_id,
        )
        .limit(DRAIN_MAX)
    )
    return await session.scalar(select(func.count()).select_from(line.subquery())) or 0

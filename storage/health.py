"""An endpoint's health as rows: disabled, enabled, parked, recovering; and what waits for it.

Nothing is dropped: what an unhealthy endpoint has pending is parked, and sent when it recovers.
However much that is, a transaction moves a bounded number of rows; the sweep of the relay and the
workflow RecoverEndpoint move the rest.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.health import DRAIN_FIRST
from storage.outbox import DELIVERIES, DELIVERIES_ADDED, ENDPOINTS
from storage.redelivery import TALLIES, By, note
from storage.unless_there import insert_unless_there

SYSTEM = "system"
MOVED_MAX = 1_000  # Deliveries that one transaction moves: it holds SQLite's only writer.
PARK = text("priority IN (0, 1) AND state = 'pending'")
PARKED = text("state = 'parked' AND hold IS NULL")

Parked: TypeAlias = Literal["drain", "skip", "newest_per_key"]


async def disable(session: AsyncSession, endpoint_id: str, reason: str, *, now: datetime) -> None:
    """Stop sending to an endpoint: what is pending for it is parked, never dropped.

    Disabling what is disabled changes nothing, not even the reason.
    """
    await session.execute(
        update(ENDPOINTS)
        .where(ENDPOINTS.c.id == endpoint_id, ENDPOINTS.c.disabled_at.is_(None))
        .values(health="disabled", disabled_at=now, disabled_reason=reason, updated_at=now)
    )
    await park_pending(session, endpoint_id, reason="endpoint_disabled")
    await _set_tally(session, endpoint_id, recovery_due_at=None)


async def enable(
    session: AsyncSession, endpoint_id: str, by: By, *, parked: Parked = "drain", now: datetime
) -> bool:
    """Send again, and say what becomes of what was parked meanwhile.

    `drain` sends all of it, oldest first, at a bounded rate, new events behind it; `skip` cancels
    it; `newest_per_key` sends the newest of each ordering key (of each event type where there is
    no key) and cancels the others. Little goes at once. Returns whether anything is left parked:
    then the endpoint is `recovering`, and `runtime.delivery_control.DeliveryControl.recover`
    starts what moves it.
    """
    waiting = await oldest_parked(session, endpoint_id, most=DRAIN_FIRST + 1)
    if parked == "drain" and len(waiting) <= DRAIN_FIRST:
        await let_go(session, [row.id for row in waiting])
        waiting = ()
    await session.execute(
        update(ENDPOINTS)
        .where(ENDPOINTS.c.id == endpoint_id)
        .values(
            health="recovering" if waiting else "healthy",
            failing_since=None,
            disabled_at=None,
            disabled_reason=None,
            updated_at=now,
        )
    )
    newest = await session.scalar(
        select(DELIVERIES.c.id)
        .where(DELIVERIES.c.endpoint_id == endpoint_id)
        .order_by(DELIVERIES.c.id.desc())
        .limit(1)
    )
    await _set_tally(
        session,
        endpoint_id,
        **FRESH,
        recovery_due_at=now if waiting else None,
        drain=parked,
        drain_until=newest,
        drain_actor=by.actor,
    )
    return bool(waiting)


async def start_draining(session: AsyncSession, endpoint_id: str, *, now: datetime) -> None:
    """Let go what is parked, oldest first: half of what a first success does."""
    await session.execute(
        update(ENDPOINTS)
        .where(ENDPOINTS.c.id == endpoint_id)
        .values(health="recovering", failing_since=None, updated_at=now)
    )
    await _set_tally(session, endpoint_id, **FRESH, recovery_due_at=now)


# Counting begins anew: what happened before says nothing about what comes.
FRESH: dict[str, Any] = {
    "minutes": [],
    "failures_in_a_row": 0,
    "failed_deliveries": [],
    "failing_since": None,
    "warned_percent": 0,
    "latency_ms": 0,
    "recovery_round": 0,
    "probe_first": None,
}


async def park_pending(
    session: AsyncSession, endpoint_id: str, *, reason: str, most: int = MOVED_MAX
) -> int:
    """Park what is pending, newest last. Returns how many: `most` if there may be more."""
    chosen = (
        select(DELIVERIES.c.id)
        .join(ENDPOINTS, ENDPOINTS.c.id == DELIVERIES.c.endpoint_id)
        .where(PARK, DELIVERIES.c.tenant_id == ENDPOINTS.c.tenant_id, ENDPOINTS.c.id == endpoint_id)
        .limit(most)
    )
    done = await session.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id.in_(chosen), DELIVERIES.c.state == "pending")
        .values(state="parked", reason=reason)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


async def park(session: AsyncSession, rows: Sequence[Any], health: str, *, now: datetime) -> None:
    """Park deliveries that were about to be sent. No attempt was made, none is counted."""
    reason = f"endpoint_{health}"
    ids = [row.id for row in rows]
    still = DELIVERIES.c.state.in_(("claimed", "retrying"))
    await session.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id.in_(ids), still)
        .values(state="parked", reason=reason, claim_id=None, next_attempt_at=None)
    )
    await note(session, rows, "parked", By(SYSTEM, reason), now=now)


async def let_go(session: AsyncSession, ids: Sequence[str]) -> None:
    """Let parked deliveries be claimed."""
    if ids:
        await session.execute(
            update(DELIVERIES)
            .where(DELIVERIES.c.id.in_(ids), PARKED)
            .values(state="pending", reason=None)
        )
        session.info[DELIVERIES_ADDED] = True


async def oldest_parked(session: AsyncSession, endpoint_id: str, *, most: int) -> Sequence[Any]:
    """What waits for the endpoint itself, not for a person, the oldest first."""
    query = (
        select(DELIVERIES.c.id, DELIVERIES.c.state, DELIVERIES.c.ordering_key)
        .where(DELIVERIES.c.endpoint_id == endpoint_id, PARKED)
        .order_by(DELIVERIES.c.id)
        .limit(most)
    )
    return (await session.execute(query)).all()


async def _set_tally(session: AsyncSession, endpoint_id: str, **values: Any) -> None:
    await ensure(session, TALLIES, [endpoint_id])
    await session.execute(
        update(TALLIES).where(TALLIES.c.endpoint_id == endpoint_id).values(**values)
    )


async def ensure(session: AsyncSession, table: Any, endpoint_ids: Sequence[str]) -> None:
    """Make the rows that are not there yet."""
    rows = [{"endpoint_id": endpoint_id} for endpoint_id in endpoint_ids]
    await session.execute(insert_unless_there(session, table), rows)

"""Retention: forget what is old, a small batch at a time; and expunge one payload when asked to.

An event goes with all its deliveries, attempts and changes, or stays with all of them. It stays
while any of its deliveries is unsettled, or was settled within the retention.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.delivery import SETTLED
from domain.replay import ENDED
from storage.idempotency import ANSWERS
from storage.key_addresses import PLACES
from storage.listing import first_id
from storage.lockouts import FAILURES
from storage.outbox import DELIVERIES, EVENTS
from storage.recording import ATTEMPTS
from storage.redelivery import CHANGES, By, note
from storage.replays import JOBS
from storage.tables import Event

EXPUNGED = "expunged"
FAILURES_KEPT_FOR = timedelta(days=1)
PLACES_KEPT_FOR = timedelta(days=90)


@dataclass(frozen=True)
class PrunedEvents:
    """What one batch came to. `after` is where the next begins; None if there is no next."""

    events: int
    deliveries: int
    attempts: int
    after: str | None


async def prune_events(
    session: AsyncSession, *, before: datetime, after: str = "", most: int = 200
) -> PrunedEvents:
    """Delete events told before `before`, in the order of their ids, with all that is theirs."""
    old = select(EVENTS.c.id).where(EVENTS.c.id > after, EVENTS.c.id < first_id("evt", before))
    looked_at = (await session.scalars(old.order_by(EVENTS.c.id).limit(most))).all()
    if not looked_at:
        return PrunedEvents(0, 0, 0, None)
    last = looked_at[-1] if len(looked_at) == most else None
    event_ids = await _without_recent_deliveries(session, looked_at, before)
    deliveries = select(DELIVERIES.c.id).where(DELIVERIES.c.event_id.in_(event_ids))
    delivery_ids = (await session.scalars(deliveries)).all()
    await session.execute(delete(CHANGES).where(CHANGES.c.delivery_id.in_(delivery_ids)))
    attempts: Any = await session.execute(
        delete(ATTEMPTS).where(ATTEMPTS.c.delivery_id.in_(delivery_ids))
    )
    await session.execute(delete(DELIVERIES).where(DELIVERIES.c.id.in_(delivery_ids)))
    await session.execute(delete(EVENTS).where(EVENTS.c.id.in_(event_ids)))
    return PrunedEvents(len(event_ids), len(delivery_ids), attempts.rowcount, last)


async def _without_recent_deliveries(
    session: AsyncSession, event_ids: Any, before: datetime
) -> list[str]:
    """Those of them whose deliveries are all settled, and were before then."""
    keeps = exists().where(
        DELIVERIES.c.event_id == EVENTS.c.id,
        DELIVERIES.c.state.not_in(SETTLED)
        | DELIVERIES.c.settled_at.is_(None)
        | (DELIVERIES.c.settled_at >= before),
    )
    # Locked, so that a replay does not put one of their deliveries in line meanwhile.
    query = select(EVENTS.c.id).where(EVENTS.c.id.in_(event_ids), ~keeps)
    found = list((await session.scalars(query)).all())
    locked = select(DELIVERIES.c.event_id, DELIVERIES.c.state).where(
        DELIVERIES.c.event_id.in_(found)
    )
    rows = (await session.execute(locked.with_for_update())).all()
    revived = {row.event_id for row in rows if row.state not in SETTLED}
    return [event_id for event_id in found if event_id not in revived]


async def prune_answers(session: AsyncSession, *, before: datetime, most: int = 500) -> int:
    """Delete idempotency keys that expired before then, and say how many."""
    key = (ANSWERS.c.tenant_id, ANSWERS.c.route, ANSWERS.c.key)
    old = select(*key).where(ANSWERS.c.expires_at < before).limit(most)
    deleted: Any = await session.execute(delete(ANSWERS).where(tuple_(*key).in_(old)))
    return int(deleted.rowcount)


async def prune_access(session: AsyncSession, *, before: datetime, most: int = 500) -> int:
    """Forget bad keys of yesterday and places that keys were used from long ago: how many."""
    failures = select(FAILURES.c.address).where(FAILURES.c.since < before - FAILURES_KEPT_FOR)
    forgotten: Any = await session.execute(
        delete(FAILURES).where(FAILURES.c.address.in_(failures.limit(most)))
    )
    place = (PLACES.c.key_id, PLACES.c.address)
    old = select(*place).where(PLACES.c.first_seen < before - PLACES_KEPT_FOR).limit(most)
    deleted: Any = await session.execute(delete(PLACES).where(tuple_(*place).in_(old)))
    return int(forgotten.rowcount) + int(deleted.rowcount)


async def prune_replays(session: AsyncSession, *, before: datetime, most: int = 500) -> int:
    """Delete replay jobs that ended before then, and say how many."""
    old = select(JOBS.c.id).where(JOBS.c.state.in_(ENDED), JOBS.c.ended_at < before).limit(most)
    deleted: Any = await session.execute(delete(JOBS).where(JOBS.c.id.in_(old)))
    return int(deleted.rowcount)


async def expunge(session: AsyncSession, event: Event, *, actor: str, now: datetime) -> int:
    """Forget what the event said, and what receivers answered to it. The rows stay.

    Deliveries of it that are not settled are cancelled: there is nothing left to send. Returns
    their number. Expunging again changes nothing.
    """
    await session.refresh(event, with_for_update=True)
    mine = DELIVERIES.c.event_id == event.id
    query = select(DELIVERIES.c.id, DELIVERIES.c.state).where(
        mine, DELIVERIES.c.state.not_in(SETTLED)
    )
    unsettled = (await session.execute(query.with_for_update())).all()
    event.body = None
    await session.flush()
    await session.execute(
        update(ATTEMPTS)
        .where(ATTEMPTS.c.delivery_id.in_(select(DELIVERIES.c.id).where(mine)))
        .values(response_body=b"", response_headers=[])
    )
    if unsettled:
        await _cancel(session, unsettled, By(actor, EXPUNGED), now=now)
    return len(unsettled)


async def _cancel(session: AsyncSession, rows: Any, by: By, *, now: datetime) -> None:
    await session.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id.in_([row.id for row in rows]))
        .values(
            state="cancelled",
            reason=by.reason,
            settled_at=now,
            next_attempt_at=None,
            hold=None,
        )
    )
    await note(session, rows, "cancelled", by, now=now)

"""What a person does to one delivery: redeliver, cancel, pause, resume. Each says who, and why.

Each runs in the caller's transaction and returns whom to tell after the commit:
`runtime.delivery_control.DeliveryControl.tell`. Who is not told finds out by himself, later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.control import PAUSED, Nudge, Order, Ordered, Standing, ordered
from domain.delivery import SETTLED, DeliveryState
from domain.ids import new_id
from storage.endpoint_tables import EndpointTally
from storage.outbox import DELIVERIES, DELIVERIES_ADDED, ENDPOINTS, EVENTS
from storage.tables import DeliveryChange

CHANGES: Any = DeliveryChange.__table__  # type: ignore[attr-defined]
TALLIES: Any = EndpointTally.__table__  # type: ignore[attr-defined]
FIRST = 0
SYSTEM = "system"


@dataclass(frozen=True)
class By:
    """Who changes something, and why. `actor` is the id of an API key, or `system`."""

    actor: str
    reason: str


@dataclass(frozen=True)
class Changed:
    """What came of an order: the delivery's state now, and whom to tell of it."""

    delivery_id: str
    endpoint_id: str
    state: DeliveryState
    nudges: tuple[Nudge, ...] = ()


async def redeliver(session: AsyncSession, delivery_id: str, by: By, *, now: datetime) -> Changed:
    """Send it now, or once more: under the same event id, as the next attempt, trigger `manual`.

    A waiting retry runs now; one whose attempt is under way runs again at once if that fails; a
    settled delivery becomes pending; while its endpoint is parked it is the one that is probed
    with, at once. Raises DeliveryStateConflict if the endpoint is disabled.
    """
    row = await _locked(session, delivery_id)
    change = await _apply(session, row, "redeliver", by, now)
    asked_of_its_run = change.state in (DeliveryState.RETRYING, DeliveryState.CLAIMED)
    values: dict[str, Any] = {
        "trigger": "manual",
        "priority": FIRST,
        "next_attempt_at": now if asked_of_its_run else None,
    }
    if change.again:
        values |= {"settled_at": None, "ordering_key": None, "claim_id": None}
    await _update(session, delivery_id, **values)
    if Nudge.PROBE_NOW in change.nudges:
        await session.execute(
            update(TALLIES)
            .where(TALLIES.c.endpoint_id == row.endpoint_id)
            .values(probe_first=delivery_id, recovery_due_at=now)
        )
    return _changed(row, change)


async def cancel(session: AsyncSession, delivery_id: str, by: By, *, now: datetime) -> Changed:
    """Send it no more. An attempt that is under way is recorded, and changes nothing.

    Raises DeliveryStateConflict if it is settled.
    """
    row = await _locked(session, delivery_id)
    change = await _apply(session, row, "cancel", by, now)
    await _update(session, delivery_id, reason=by.reason, settled_at=now, next_attempt_at=None)
    return _changed(row, change)


async def pause(session: AsyncSession, delivery_id: str, by: By, *, now: datetime) -> Changed:
    """Keep it from being sent until `resume`: parked, with hold `paused`.

    Being sent right now, it stops after this attempt. Raises DeliveryStateConflict.
    """
    row = await _locked(session, delivery_id)
    change = await _apply(session, row, "pause", by, now)
    return _changed(row, change)


async def resume(session: AsyncSession, delivery_id: str, by: By, *, now: datetime) -> Changed:
    """Let it go on where it was paused; a paused retry is due now. Raises DeliveryStateConflict."""
    row = await _locked(session, delivery_id)
    change = await _apply(session, row, "resume", by, now)
    if change.state is DeliveryState.RETRYING:
        await _update(session, delivery_id, next_attempt_at=now)
    elif change.state is not DeliveryState.CLAIMED:
        await _update(session, delivery_id, next_attempt_at=None)
    return _changed(row, change)


async def pause_claimed(session: AsyncSession, row: Any, *, now: datetime) -> None:
    """Park what was paused while it was claimed, before anything of it was sent.

    Resumed meanwhile, or not claimed any more, it is left as it is.
    """
    still = (DELIVERIES.c.state == DeliveryState.CLAIMED) & (DELIVERIES.c.hold == PAUSED)
    done: Any = await session.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id == row.id, still)
        .values(state="parked", reason=PAUSED, claim_id=None, claimed_until=None)
    )
    if done.rowcount:
        await note(session, [row], DeliveryState.PARKED, By(SYSTEM, PAUSED), now=now)


async def note(
    session: AsyncSession, rows: Sequence[Any], to_state: str, by: By, *, now: datetime
) -> None:
    """Write down a change of several deliveries. Each row has its `id` and its `state` before."""
    if rows:
        await session.execute(
            insert(CHANGES),
            [
                {
                    "id": new_id("chg"),
                    "delivery_id": row.id,
                    "from_state": row.state,
                    "to_state": to_state,
                    "reason": by.reason,
                    "actor": by.actor,
                    "at": now,
                }
                for row in rows
            ],
        )


async def _locked(session: AsyncSession, delivery_id: str) -> Any:
    query = (
        select(
            DELIVERIES.c.id,
            DELIVERIES.c.endpoint_id,
            DELIVERIES.c.state,
            DELIVERIES.c.hold,
            DELIVERIES.c.next_attempt_at,
            ENDPOINTS.c.health,
            ENDPOINTS.c.deleted_at,
            EVENTS.c.body.is_(None).label("is_expunged"),
        )
        .join(ENDPOINTS, ENDPOINTS.c.id == DELIVERIES.c.endpoint_id)
        .join(EVENTS, EVENTS.c.id == DELIVERIES.c.event_id)
        .where(DELIVERIES.c.id == delivery_id)
        .with_for_update(of=DELIVERIES)
    )
    return (await session.execute(query)).one()


async def _apply(session: AsyncSession, row: Any, order: Order, by: By, now: datetime) -> Ordered:
    state = DeliveryState(row.state)
    change = ordered(
        order,
        Standing(
            row.id,
            state,
            row.health,
            hold=row.hold,
            has_run=row.next_attempt_at is not None and state not in SETTLED,
            deleted=row.deleted_at is not None,
            expunged=bool(row.is_expunged),
        ),
    )
    await _update(
        session,
        row.id,
        state=change.state,
        hold=change.hold,
        reason=_reason(order, change, row.health),
    )
    await note(session, [row], change.state, by, now=now)
    if Nudge.CLAIM in change.nudges:
        session.info[DELIVERIES_ADDED] = True
    return change


def _reason(order: Order, change: Ordered, health: str) -> str | None:
    if change.state is DeliveryState.PARKED:
        return change.hold or f"endpoint_{health}"
    return {"redeliver": "redelivered", "resume": "resumed"}.get(order)


async def _update(session: AsyncSession, delivery_id: str, **values: Any) -> None:
    await session.execute(update(DELIVERIES).where(DELIVERIES.c.id == delivery_id).values(**values))


def _changed(row: Any, change: Ordered) -> Changed:
    return Changed(row.id, row.endpoint_id, change.state, change.nudges)

"""Record attempts: the attempt, what was finally decided, and what it tells of the endpoint.

All in one transaction, for as many attempts as ended together. Endpoints are locked before
deliveries, each in the order of their ids: who records beside us waits, and nobody deadlocks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.delivery import (
    AttemptOutcome,
    Decision,
    DeliveryState,
    DisableEndpoint,
    Park,
    Retry,
    Settle,
)
from domain.health import Counted, Health, count, health_after
from domain.ordering import parse_head_of_line
from domain.recording import Final, Standing, finally_decided
from storage.among import among
from storage.many import Many
from storage.outbox import DELIVERIES, ENDPOINTS
from storage.redelivery import By, note
from storage.tables import Attempt
from storage.tally import Counting, lock_tallies, write_tallies

ATTEMPTS: Any = Attempt.__table__  # type: ignore[attr-defined]
SYSTEM = "system"
SCHEDULE, MANUAL = "schedule", "manual"
TOUCHED_AGAIN_AFTER = timedelta(seconds=1)
WORDS: Mapping[type, str] = {
    Settle: "settle",
    Retry: "retry",
    Park: "park",
    DisableEndpoint: "disable_endpoint",
}


@dataclass(frozen=True)
class Sent:
    """One attempt, and what was decided when its answer came."""

    delivery_id: str
    endpoint_id: str
    trigger: str
    sent_at: datetime
    outcome: AttemptOutcome
    decision: Decision
    retry_schedule: tuple[timedelta, ...]
    is_probe: bool = False


@dataclass(frozen=True)
class Recorded:
    """One attempt as it was written: what holds is `decision`."""

    number: int
    decision: Decision


@dataclass(frozen=True)
class Recording:
    """What came of a group, in its order. `parked`: endpoints whose breaker just opened.

    `changed_pace` says that one turned out slow, or quick again: another claimer serves it now.
    """

    recorded: tuple[Recorded, ...]
    parked: tuple[Counting, ...] = ()
    changed_pace: bool = False


@dataclass(frozen=True)
class _Written:
    sent: Sent
    row: Any
    number: int
    final: Final


async def record(session: AsyncSession, sent: Sequence[Sent], *, now: datetime) -> Recording:
    """Write the attempts. One that was cancelled or settled meanwhile changes nothing else."""
    countings = await lock_tallies(session, {one.endpoint_id for one in sent})
    rows = await _lock_deliveries(session, {one.delivery_id for one in sent})
    counted = {
        endpoint_id: _count(counting, (one for one in sent if one.endpoint_id == endpoint_id), now)
        for endpoint_id, counting in countings.items()
    }
    written = _decide(sent, rows, counted)
    await INSERT.execute(session, [_attempt_row(one, now) for one in written])
    await _update(session, written, now)
    await _note_parked(session, written, now)
    await _touch(session, countings, now)
    parked = await write_tallies(session, counted.values(), now=now)
    return Recording(
        tuple(Recorded(one.number, one.final.decision) for one in written),
        parked,
        changed_pace=any(
            counting.tally.is_slow != counted[endpoint_id].tally.is_slow
            for endpoint_id, counting in countings.items()
        ),
    )


def _count(counting: Counting, sent: Iterable[Sent], now: datetime) -> Counting:
    """Count the endpoint's attempts, and say what health they leave it in."""
    of_endpoint = list(sent)
    tally = count(counting.tally, (_counted(one) for one in of_endpoint), now=now)
    reasons = [
        one.decision.reason for one in of_endpoint if isinstance(one.decision, DisableEndpoint)
    ]
    return replace(
        counting,
        tally=tally,
        health=Health.DISABLED if reasons else health_after(counting.health, tally),
        schedule=of_endpoint[0].retry_schedule,
        disabled_because=reasons[0] if reasons else None,
        probed=tuple(one.outcome.succeeded for one in of_endpoint if one.is_probe),
    )


def _counted(sent: Sent) -> Counted:
    outcome = sent.outcome
    return Counted(
        sent.delivery_id,
        sent.sent_at,
        succeeded=outcome.succeeded,
        blames=outcome.counts_against_endpoint,
        duration_ms=outcome.duration_ms,
    )


async def _lock_deliveries(session: AsyncSession, ids: Iterable[str]) -> dict[str, Any]:
    columns = (
        DELIVERIES.c.id,
        DELIVERIES.c.state,
        DELIVERIES.c.hold,
        DELIVERIES.c.attempts,
        DELIVERIES.c.ordering_key,
        DELIVERIES.c.trigger,
        DELIVERIES.c.next_attempt_at,
    )
    query = (
        select(*columns)
        .where(among(session, DELIVERIES.c.id, ids))
        .order_by(DELIVERIES.c.id)
        .with_for_update()
    )
    return {row.id: row for row in await session.execute(query)}


def _decide(
    sent: Sequence[Sent], rows: Mapping[str, Any], counted: Mapping[str, Counting]
) -> list[_Written]:
    """A delivery that was sent twice, because a worker was taken for dead, has both attempts."""
    numbers = {id: row.attempts for id, row in rows.items()}
    written: list[_Written] = []
    for one in sent:
        row, counting = rows[one.delivery_id], counted[one.endpoint_id]
        numbers[one.delivery_id] += 1
        standing = Standing(
            DeliveryState(row.state),
            counting.health,
            row.hold,
            parks_key=row.ordering_key is not None and _parks_key(counting),
            asked_again=_is_asked_again(row, one),
        )
        final = finally_decided(one.decision, standing)
        written.append(_Written(one, row, numbers[one.delivery_id], final))
    return written


def _is_asked_again(row: Any, sent: Sent) -> bool:
    """Whether `redeliver` came after the attempt had begun."""
    asked_at = row.next_attempt_at if row.trigger == MANUAL else None
    return asked_at is not None and bool(asked_at > sent.sent_at)


def _parks_key(counting: Counting) -> bool:
    return parse_head_of_line(counting.head_of_line).parks_key


def _attempt_row(written: _Written, now: datetime) -> dict[str, Any]:
    sent, outcome, decision = written.sent, written.sent.outcome, written.final.decision
    return {
        "delivery_id": sent.delivery_id,
        "number": written.number,
        "trigger": sent.trigger,
        "outcome": outcome.outcome,
        "status_code": outcome.status_code,
        "error": outcome.error,
        "decision": WORDS[type(decision)],
        "reason": decision.reason,
        "next_attempt_at": _next_at(decision, now),
        "duration_ms": outcome.duration_ms,
        "response_headers": [list(pair) for pair in outcome.response_headers],
        "response_body": outcome.response_body,
        "sent_at": sent.sent_at,
    }


INSERT = Many(insert(ATTEMPTS))
UPDATE = Many(
    update(DELIVERIES)
    .where(DELIVERIES.c.id == bindparam("delivery_id"))
    .values(
        state=bindparam("new_state"),
        reason=bindparam("new_reason"),
        hold=bindparam("new_hold"),
        attempts=bindparam("number"),
        trigger=bindparam("next_trigger"),
        next_attempt_at=bindparam("next_at"),
        settled_at=bindparam("settled"),
    )
)
UPDATE_ATTEMPTS = Many(
    update(DELIVERIES)
    .where(DELIVERIES.c.id == bindparam("delivery_id"))
    .values(attempts=bindparam("number"))
)


async def _update(session: AsyncSession, written: Sequence[_Written], now: datetime) -> None:
    changed = [_delivery_values(one, now) for one in written if one.final.state is not None]
    await UPDATE.execute(session, changed)
    kept = [one for one in written if one.final.state is None]
    await UPDATE_ATTEMPTS.execute(
        session, [{"delivery_id": one.row.id, "number": one.number} for one in kept]
    )


def _delivery_values(written: _Written, now: datetime) -> dict[str, Any]:
    final = written.final
    is_settled = final.state in (DeliveryState.SUCCEEDED, DeliveryState.DEAD_LETTERED)
    return {
        "delivery_id": written.row.id,
        "new_state": final.state,
        "new_reason": final.reason,
        "new_hold": final.hold,
        "number": written.number,
        "next_trigger": MANUAL if final.asked_again else SCHEDULE,
        "next_at": _next_at(final.decision, now),
        "settled": now if is_settled else None,
    }


async def _note_parked(session: AsyncSession, written: Sequence[_Written], now: datetime) -> None:
    for one in written:
        if one.final.state is DeliveryState.PARKED and one.row.state != DeliveryState.PARKED:
            by = By(SYSTEM, one.final.reason)
            await note(session, [one.row], DeliveryState.PARKED, by, now=now)


async def _touch(session: AsyncSession, countings: Mapping[str, Counting], now: datetime) -> None:
    last = ENDPOINTS.c.last_triggered_at
    await session.execute(
        update(ENDPOINTS)
        .where(
            ENDPOINTS.c.id.in_(sorted(countings)),
            or_(last.is_(None), last < now - TOUCHED_AGAIN_AFTER),
        )
        .values(last_triggered_at=now)
    )


def _next_at(decision: Decision, now: datetime) -> datetime | None:
    return now + decision.delay if isinstance(decision, Retry) else None

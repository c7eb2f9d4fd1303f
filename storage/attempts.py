"""Load what an attempt needs, and record what came of it: attempt, decision and new state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.delivery import AttemptOutcome, Decision, DisableEndpoint, Park, Retry, Settle
from domain.ids import new_id
from storage.health import disable as disable  # Where it was; api/webhooks.py looks for it here.
from storage.outbox import DELIVERIES, ENDPOINTS, EVENTS
from storage.tables import Attempt, DeliveryChange, Endpoint, EndpointSecret

ATTEMPTS: Any = Attempt.__table__  # type: ignore[attr-defined]
CHANGES: Any = DeliveryChange.__table__  # type: ignore[attr-defined]

LOADED = (
    DELIVERIES.c.id,
    DELIVERIES.c.state,
    DELIVERIES.c.event_id,
    DELIVERIES.c.event_type,
    DELIVERIES.c.endpoint_id,
    DELIVERIES.c.attempts,
    DELIVERIES.c.trigger,
    DELIVERIES.c.next_attempt_at,
    EVENTS.c.body,
    EVENTS.c.workflow_id,
)


@dataclass(frozen=True)
class Sent:
    """One attempt and what was decided."""

    delivery_id: str
    endpoint_id: str
    from_state: str
    number: int
    trigger: str
    sent_at: datetime
    outcome: AttemptOutcome
    decision: Decision


@dataclass(frozen=True)
class Addressee:
    """An endpoint with its sealed secrets, as rows."""

    endpoint: Endpoint
    secrets: Sequence[EndpointSecret]


async def load_claim(session: AsyncSession, claim_id: str) -> Sequence[Any]:
    """The claim's rows that still matter: to send (claimed), or to hand on (retrying)."""
    query = (
        select(*LOADED)
        .join(EVENTS, EVENTS.c.id == DELIVERIES.c.event_id)
        .where(DELIVERIES.c.claim_id == claim_id, DELIVERIES.c.state.in_(("claimed", "retrying")))
        .order_by(DELIVERIES.c.id)
    )
    return (await session.execute(query)).all()


async def load_delivery(session: AsyncSession, delivery_id: str) -> Any:
    query = (
        select(*LOADED)
        .join(EVENTS, EVENTS.c.id == DELIVERIES.c.event_id)
        .where(DELIVERIES.c.id == delivery_id)
    )
    return (await session.execute(query)).one_or_none()


async def load_addressees(
    session: AsyncSession, endpoint_ids: Sequence[str]
) -> dict[str, Addressee]:
    endpoints = await session.scalars(select(Endpoint).where(col(Endpoint.id).in_(endpoint_ids)))
    secrets: dict[str, list[EndpointSecret]] = {}
    query = select(EndpointSecret).where(col(EndpointSecret.endpoint_id).in_(endpoint_ids))
    for secret in await session.scalars(query):
        secrets.setdefault(secret.endpoint_id, []).append(secret)
    return {
        endpoint.id: Addressee(endpoint, secrets.get(endpoint.id, [])) for endpoint in endpoints
    }


async def record(session: AsyncSession, sent: Sequence[Sent], *, now: datetime) -> None:
    """Write attempts and the states they led to. Attempt numbers are keys: none is there twice."""
    await session.execute(insert(ATTEMPTS), [_attempt_row(one, now) for one in sent])
    await session.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id == bindparam("delivery_id"), DELIVERIES.c.settled_at.is_(None))
        .values(
            state=bindparam("new_state"),
            reason=bindparam("why"),
            attempts=bindparam("number"),
            trigger="schedule",
            next_attempt_at=bindparam("next_at"),
            settled_at=bindparam("settled"),
        ),
        [_delivery_values(one, now) for one in sent],
    )
    for one in sent:
        if isinstance(one.decision, DisableEndpoint):
            await disable(session, one.endpoint_id, one.decision.reason, now=now)
    parked = [_change_row(one, now) for one in sent if _state_of(one.decision) == "parked"]
    if parked:
        await session.execute(insert(CHANGES), parked)


def _attempt_row(sent: Sent, now: datetime) -> dict[str, Any]:
    outcome = sent.outcome
    return {
        "delivery_id": sent.delivery_id,
        "number": sent.number,
        "trigger": sent.trigger,
        "outcome": outcome.outcome,
        "status_code": outcome.status_code,
        "error": outcome.error,
        "decision": _word_of(sent.decision),
        "reason": sent.decision.reason,
        "next_attempt_at": _next_at(sent, now),
        "duration_ms": outcome.duration_ms,
        "response_headers": [list(pair) for pair in outcome.response_headers],
        "response_body": outcome.response_body,
        "sent_at": sent.sent_at,
    }


def _delivery_values(sent: Sent, now: datetime) -> dict[str, Any]:
    state = _state_of(sent.decision)
    return {
        "delivery_id": sent.delivery_id,
        "new_state": state,
        "why": _reason_of(sent.decision),
        "number": sent.number,
        "next_at": _next_at(sent, now),
        "settled": now if state in ("succeeded", "dead_lettered") else None,
    }


def _change_row(sent: Sent, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id("chg"),
        "delivery_id": sent.delivery_id,
        "from_state": sent.from_state,
        "to_state": "parked",
        "reason": _reason_of(sent.decision),
        "actor": "system",
        "at": now,
    }


def _next_at(sent: Sent, now: datetime) -> datetime | None:
    return now + sent.decision.delay if isinstance(sent.decision, Retry) else None


def _state_of(decision: Decision) -> str:
    match decision:
        case Settle(state, _):
            return state
        case Retry():
            return "retrying"
        case Park():
            return "parked"
        case DisableEndpoint(_, delivery):
            return _state_of(delivery)


def _reason_of(decision: Decision) -> str:
    return (
        _reason_of(decision.delivery) if isinstance(decision, DisableEndpoint) else decision.reason
    )


def _word_of(decision: Decision) -> str:
    match decision:
        case Settle():
            return "settle"
        case Retry():
            return "retry"
        case Park():
            return "park"
        case DisableEndpoint():
            return "disable_endpoint"


async def touch(session: AsyncSession, endpoint_ids: Sequence[str], *, now: datetime) -> None:
    await session.execute(
        update(ENDPOINTS).where(ENDPOINTS.c.id.in_(endpoint_ids)).values(last_triggered_at=now)
    )

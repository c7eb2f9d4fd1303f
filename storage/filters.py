"""Which endpoint wants which event; and for a person who asks, why one did not get it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import payload_filter
from domain.catalogue import matches
from domain.payload_filter import ClauseResult, InvalidFilter, stored_filter
from storage.tables import Delivery, Endpoint, Event

DELIVERIES: Any = Delivery.__table__  # type: ignore[attr-defined]
ENDPOINTS: Any = Endpoint.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Told:
    """An event as filters see it. Its body is read as JSON at most once, and only if asked for."""

    event_type: str
    body: bytes

    @cached_property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.body)["data"]
        return data


def wants(endpoint: Any, told: Told) -> bool:
    """Whether the endpoint, as a row, asks for this event."""
    if not matches(endpoint.event_types, told.event_type):
        return False
    if endpoint.payload_filter is None:
        return True
    try:
        filter = stored_filter(endpoint.payload_filter)
    except InvalidFilter:  # Checked when it was stored; if it is broken all the same, nothing may
        return True  # be lost of it, least of all the saga step whose transaction this is.
    return payload_filter.matches(filter, told.data)


class WhyNot(StrEnum):
    """Why an endpoint has no delivery of an event."""

    MATCHES = "matches"  # It would get this event today: its subscription changed since.
    CREATED_LATER = "created_later"
    EVENT_TYPE = "event_type"
    PAYLOAD_FILTER = "payload_filter"
    EXPUNGED = "expunged"


@dataclass(frozen=True)
class Match:
    """What an endpoint's subscription says about one event, as it stands now."""

    endpoint_id: str
    matched: bool
    reason: WhyNot
    text: str
    clauses: tuple[ClauseResult, ...] = ()


def explain_match(endpoint: Endpoint, event: Event) -> Match:
    """Say why the endpoint would or would not get the event, as it is subscribed now.

    An endpoint that is disabled is not left out: its deliveries are parked, and sent later.
    """
    if not matches(endpoint.event_types, event.type):
        text = f"it asks for {', '.join(endpoint.event_types)}, not for {event.type}"
        return _no(endpoint, WhyNot.EVENT_TYPE, text)
    clauses: tuple[ClauseResult, ...] = ()
    if endpoint.payload_filter is not None:
        if event.body is None:
            text = "the payload is expunged: nobody can tell what its filter said"
            return _no(endpoint, WhyNot.EXPUNGED, text)
        told = Told(event.type, event.body)
        explained = payload_filter.explain(stored_filter(endpoint.payload_filter), told.data)
        clauses = explained.clauses
        if not explained.matched:
            return _no(endpoint, WhyNot.PAYLOAD_FILTER, _failed(clauses), clauses)
    if endpoint.created_at > event.created_at:
        text = f"it was made at {endpoint.created_at.isoformat()}, after the event"
        return _no(endpoint, WhyNot.CREATED_LATER, text, clauses)
    return Match(
        endpoint.id, matched=True, reason=WhyNot.MATCHES, text="it asks for it", clauses=clauses
    )


async def unmatched(session: AsyncSession, event: Event) -> list[Match]:
    """The tenant's endpoints that have no delivery of the event, each with the reason."""
    sent_to = select(DELIVERIES.c.endpoint_id).where(DELIVERIES.c.event_id == event.id)
    query = (
        select(Endpoint)
        .where(
            ENDPOINTS.c.tenant_id == event.tenant_id,
            ENDPOINTS.c.deleted_at.is_(None),
            ENDPOINTS.c.id.not_in(sent_to),
        )
        .order_by(ENDPOINTS.c.id)
    )
    endpoints: Sequence[Endpoint] = (await session.scalars(query)).all()
    return [explain_match(endpoint, event) for endpoint in endpoints]


def _no(
    endpoint: Endpoint, reason: WhyNot, text: str, clauses: tuple[ClauseResult, ...] = ()
) -> Match:
    return Match(endpoint.id, matched=False, reason=reason, text=text, clauses=clauses)


def _failed(clauses: Sequence[ClauseResult]) -> str:
    """The clauses that did not hold; under a `$not` it may be those that did."""
    failed = [clause for clause in clauses if not clause.matched] or list(clauses)
    return "its payload filter says no: " + "; ".join(_sentence(clause) for clause in failed)


def _sentence(clause: ClauseResult) -> str:
    found = "missing" if clause.is_missing else json.dumps(clause.found)
    return f"{clause.clause} is {found}, the filter has {clause.operator} " + json.dumps(
        clause.operand
    )

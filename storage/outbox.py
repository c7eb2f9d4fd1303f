"""Publish events: the rows, and one delivery for every endpoint that wants each of them.

Called inside the transaction of the effect that the events tell of. The events table *is* the
outbox: nothing is sent from memory, and nothing is sent that was rolled back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import EventData
from domain.envelope import Envelope
from domain.ids import new_id
from domain.ordering import ordering_key
from storage.filters import Told, wants
from storage.tables import Delivery, Endpoint, Event

EVENTS: Any = Event.__table__  # type: ignore[attr-defined]
DELIVERIES: Any = Delivery.__table__  # type: ignore[attr-defined]
ENDPOINTS: Any = Endpoint.__table__  # type: ignore[attr-defined]

# Statements are made once: building one takes longer than SQLite takes to run it.
ADD_EVENTS = insert(EVENTS)
ADD_DELIVERIES = insert(DELIVERIES)
LISTENING = select(
    ENDPOINTS.c.id,
    ENDPOINTS.c.event_types,
    ENDPOINTS.c.payload_filter,
    ENDPOINTS.c.health,
    ENDPOINTS.c.ordering,
    ENDPOINTS.c.ordering_key,
).where(
    ENDPOINTS.c.tenant_id == bindparam("tenant"),
    ENDPOINTS.c.deleted_at.is_(None),
    ENDPOINTS.c.id != bindparam("but_not"),
)

# A key of `session.info`: after the commit, whoever waits for deliveries is woken.
DELIVERIES_ADDED = "deliveries_added"
WAITING_HEALTH = ("parked", "recovering", "disabled")


@dataclass(frozen=True)
class Numbered:
    """An event's place in the story of its workflow: 1, 2, 3, …"""

    workflow_id: str
    sequence: int


async def publish(
    session: AsyncSession,
    tenant_id: str,
    story: Sequence[tuple[EventData, Numbered | None]],
    *,
    now: datetime,
    about_endpoint: str | None = None,
) -> list[str]:
    """Add the events and their deliveries. Returns the event ids, in order.

    What is told about an endpoint goes to the tenant's other ones: itself, it does not answer.
    """
    if not story:
        return []
    events = [_event_row(tenant_id, data, place, now) for data, place in story]
    await session.execute(ADD_EVENTS, events)
    listening = {"tenant": tenant_id, "but_not": about_endpoint or ""}
    endpoints = (await session.execute(LISTENING, listening)).all()
    told = [Told(event["type"], event["body"]) for event in events]
    deliveries = [
        delivery_row(event, endpoint, now) | {"ordering_key": _key(endpoint, told[number])}
        for number, event in enumerate(events)
        for endpoint in endpoints
        if wants(endpoint, told[number])
    ]
    if deliveries:
        await session.execute(ADD_DELIVERIES, deliveries)
        session.info[DELIVERIES_ADDED] = True
    return [event["id"] for event in events]


async def publish_to(
    session: AsyncSession, endpoint: Endpoint, data: EventData, *, now: datetime
) -> tuple[str, str]:
    """Add an event for this endpoint alone, whatever it asks for: a test of it.

    Returns the ids of the event and of its delivery, which is parked where the endpoint is unwell.
    """
    event = _event_row(endpoint.tenant_id, data, None, now)
    await session.execute(ADD_EVENTS, [event])
    delivery = delivery_row(event, endpoint, now) | {"trigger": "manual"}
    await session.execute(ADD_DELIVERIES, [delivery])
    session.info[DELIVERIES_ADDED] = True
    return event["id"], delivery["id"]


def _event_row(
    tenant_id: str, data: EventData, place: Numbered | None, now: datetime
) -> dict[str, Any]:
    event_id = new_id("evt")
    envelope = Envelope(
        event_id=event_id,
        event_type=data.event_type,
        created_at=now,
        sequence=place.sequence if place else None,
        workflow_id=place.workflow_id if place else None,
        data=data,
    )
    return {
        "id": event_id,
        "tenant_id": tenant_id,
        "type": data.event_type,
        "workflow_id": envelope.workflow_id,
        "sequence": envelope.sequence,
        "body": envelope.to_bytes(),
        "created_at": now,
    }


def _key(endpoint: Any, told: Told) -> str | None:
    if endpoint.ordering == "none":
        return None
    data = told.data if endpoint.ordering == "per_key" else {}
    return ordering_key(endpoint.ordering, endpoint.ordering_key, told.event_type, data)


def delivery_row(event: dict[str, Any], endpoint: Any, now: datetime) -> dict[str, Any]:
    waits = endpoint.health in WAITING_HEALTH
    return {
        "id": new_id("dlv"),
        "tenant_id": event["tenant_id"],
        "event_id": event["id"],
        "endpoint_id": endpoint.id,
        "event_type": event["type"],
        "ordering_key": None,
        "priority": 0,
        "hold": None,
        "state": "parked" if waits else "pending",
        "reason": f"endpoint_{endpoint.health}" if waits else None,
        "attempts": 0,
        "attempts_before": 0,
        "trigger": "schedule",
        "claim_id": None,
        "claimed_until": None,
        "next_attempt_at": None,
        "created_at": now,
        "settled_at": None,
    }

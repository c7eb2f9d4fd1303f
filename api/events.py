"""Events: what was told, to whom, and telling something."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, JsonValue
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.body import strictly
from api.deliveries import DeliveryView, delivery_view
from api.dependencies import Services, Session, Shared
from api.errors import Invalid, NotFound
from api.fields import Body
from api.once import OnceOnly, Reply
from api.paging import InWindow, Pages
from api.shapes import Data, Done, Page, Timestamp, View
from domain.catalogue import EVENT_TYPES, EventData
from domain.payload_filter import ClauseResult
from storage.external_ids import publish_once
from storage.filters import Match, unmatched
from storage.listing import find_own
from storage.outbox import EVENTS, publish
from storage.retention import expunge
from storage.tables import Event
from storage.types import utc_now
from storage.views import EVENT_ORDER, deliveries_of_event, events_of

router = APIRouter(prefix="/events", tags=["events"])
Reader = Annotated[Caller, Depends(Allowed("read", "events.read", "events.publish"))]
Publisher = Annotated[Caller, Depends(Allowed("write", "events.publish"))]
Deleter = Annotated[Caller, Depends(Allowed("delete", "events.manage"))]

EXAMPLE = EVENT_TYPES["account.unfrozen"].example()


class EventPublish(Body):
    """Something that happened, to be told. `data` is of the type's own shape."""

    type: Annotated[str, Field(max_length=128, examples=[EXAMPLE.event_type])]
    data: Annotated[
        dict[str, JsonValue], Field(examples=[EXAMPLE.model_dump(mode="json", by_alias=True)])
    ]
    external_id: Annotated[
        str | None,
        Field(min_length=1, max_length=128, description="your own id of it: published once"),
    ] = None


class EventView(View):
    """An event. `sequence` counts the events of its workflow, where it has one."""

    id: str
    type: str
    workflow_id: str | None
    workflow_url: str | None
    sequence: int | None
    external_id: str | None
    created_at: Timestamp


class ClauseView(View):
    """What one clause of a payload filter made of an event."""

    clause: str
    operator: str
    operand: JsonValue
    found: JsonValue
    is_missing: bool
    matched: bool


class NotSentTo(View):
    """A webhook that has no delivery of the event, and why."""

    webhook_id: str
    reason: Literal["matches", "created_later", "event_type", "payload_filter", "expunged"]
    text: str
    clauses: list[ClauseView]


class EventDetail(EventView):
    """An event with what was sent of it, where it went, and where it did not go.

    `data` is None once expunged.
    """

    data: JsonValue
    deliveries: list[DeliveryView]
    not_sent_to: list[NotSentTo]


class Expunged(Done):
    """Nothing of the payload is left, here or in what receivers answered to it."""

    cancelled_deliveries: int


def wanted_events(
    caller: Reader,
    window: InWindow,
    type: Annotated[str | None, Query(max_length=128)] = None,
    workflow_id: Annotated[str | None, Query(max_length=128)] = None,
    external_id: Annotated[str | None, Query(max_length=128)] = None,
) -> Select[Event]:
    query = events_of(caller.tenant_id)
    if type is not None:
        query = query.where(EVENTS.c.type == type)
    if workflow_id is not None:
        query = query.where(EVENTS.c.workflow_id == workflow_id)
    if external_id is not None:
        query = query.where(EVENTS.c.external_id == external_id)
    return query.where(*window.over_ids(EVENTS.c.id, "evt"))


@router.get("")
async def list_events(
    wanted: Annotated[Select[Event], Depends(wanted_events)],
    session: Session,
    shared: Shared,
    pages: Pages,
) -> Page[EventView]:
    """List events, the newest first."""
    listed = await pages.find(session, wanted, EVENT_ORDER)
    return pages.show(listed, lambda row: EventView(**_fields(row, shared)))


@router.post("", status_code=202, responses={200: {"model": Data[EventDetail]}})
async def publish_event(
    body: EventPublish, caller: Publisher, shared: Shared, once: OnceOnly
) -> Data[EventDetail]:
    """Publish an event: it is stored, with one delivery for every webhook that wants it.

    Under an `external_id` that was published before it is answered with 200, and nothing is sent.
    """
    data = checked(event_type_named(body.type), body.data)

    async def work(session: AsyncSession) -> Reply[Data[EventDetail]]:
        row, is_new = await _published(session, caller.tenant_id, body.external_id, data)
        detail = await _detail(session, row, shared)
        place = {"Location": f"/v2/events/{row.id}"}
        return Reply(Data(data=detail), 202 if is_new else 200, place)

    return await once.reply(Data[EventDetail], work)


@router.get("/{event_id}")
async def get_event(
    event_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[EventDetail]:
    """Get one event, what was sent of it, its deliveries, and which webhooks did not match."""
    row = await _own_event(session, event_id, caller)
    return Data(data=await _detail(session, row, shared))


@router.delete("/{event_id}/content")
async def expunge_event(event_id: str, caller: Deleter, shared: Shared) -> Expunged:
    """Forget what an event said. The event and its deliveries stay; what is unsettled is cancelled.

    For what must not be kept: a mistake, or a person's right to be forgotten.
    """

    async def work(session: AsyncSession) -> int:
        row = await _own_event(session, event_id, caller)
        return await expunge(session, row, actor=caller.key_id, now=utc_now())

    cancelled = await shared.database.transact(work)
    return Expunged(
        message=f"the content of {event_id} is expunged", cancelled_deliveries=cancelled
    )


async def _published(
    session: AsyncSession, tenant_id: str, external_id: str | None, data: EventData
) -> tuple[Event, bool]:
    """The event, and whether it is new."""
    if external_id is not None:
        return await publish_once(session, tenant_id, external_id, data, now=utc_now())
    [event_id] = await publish(session, tenant_id, [(data, None)], now=utc_now())
    return await session.get_one(Event, event_id), True


async def _own_event(session: AsyncSession, event_id: str, caller: Caller) -> Event:
    row = await find_own(session, Event, event_id, caller.tenant_id)
    if row is None:
        raise NotFound("event", event_id)
    return row


def event_type_named(name: str) -> type[EventData]:
    """Raises Invalid, with the nearest one."""
    event_type = EVENT_TYPES.get(name)
    if event_type is None:
        nearest = get_close_matches(name, EVENT_TYPES, n=1)
        hint = f": did you mean '{nearest[0]}'?" if nearest else ""
        raise Invalid({"type": [f"unknown event type '{name}'{hint}"]})
    return event_type


def checked(event_type: type[EventData], data: dict[str, JsonValue]) -> EventData:
    """Raises Invalid, with the fields of `data` that are wrong."""
    return strictly(event_type.model_validate_json, data, within="data")


async def _detail(session: AsyncSession, row: Event, shared: Services) -> EventDetail:
    deliveries = await deliveries_of_event(session, row.id)
    return EventDetail(
        **_fields(row, shared),
        data=json.loads(row.body)["data"] if row.body is not None else None,
        deliveries=[delivery_view(delivery, shared) for delivery in deliveries],
        not_sent_to=[_not_sent_to(match) for match in await unmatched(session, row)],
    )


def _not_sent_to(match: Match) -> NotSentTo:
    return NotSentTo(
        webhook_id=match.endpoint_id,
        reason=match.reason.value,
        text=match.text,
        clauses=clause_views(match.clauses),
    )


def clause_views(clauses: Iterable[ClauseResult]) -> list[ClauseView]:
    return [ClauseView.model_validate(asdict(clause)) for clause in clauses]


def _fields(row: Event, shared: Services) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": row.type,
        "workflow_id": row.workflow_id,
        "workflow_url": shared.run_url(row.workflow_id) if row.workflow_id else None,
        "sequence": row.sequence,
        "external_id": row.external_id,
        "created_at": row.created_at,
    }

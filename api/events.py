"""Events: what was told, to whom, and telling something."""

import json
from difflib import get_close_matches
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field, JsonValue, ValidationError
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.deliveries import DeliveryView, delivery_view
from api.dependencies import Services, Session, Shared
from api.errors import Invalid, NotFound, by_field
from api.fields import Body
from api.once import OnceOnly, Reply
from api.paging import InWindow, Pages
from api.shapes import Data, Page, Timestamp, View
from domain.catalogue import EVENT_TYPES, EventData
from storage.listing import find_own
from storage.outbox import EVENTS, publish
from storage.tables import Event
from storage.types import utc_now
from storage.views import EVENT_ORDER, deliveries_of_event, events_of

router = APIRouter(prefix="/events", tags=["events"])
Reader = Annotated[Caller, Depends(Allowed("read", "events.read", "events.publish"))]
Publisher = Annotated[Caller, Depends(Allowed("write", "events.publish"))]

EXAMPLE = EVENT_TYPES["account.unfrozen"].example()


class EventPublish(Body):
    """Something that happened, to be told. `data` is of the type's own shape."""

    type: Annotated[str, Field(max_length=128, examples=[EXAMPLE.event_type])]
    data: Annotated[
        dict[str, JsonValue], Field(examples=[EXAMPLE.model_dump(mode="json", by_alias=True)])
    ]


class EventView(View):
    """An event. `sequence` counts the events of its workflow, where it has one."""

    id: str
    type: str
    workflow_id: str | None
    workflow_url: str | None
    sequence: int | None
    created_at: Timestamp


class EventDetail(EventView):
    """An event with what was sent of it, and where it went. `data` is None once expunged."""

    data: JsonValue
    deliveries: list[DeliveryView]


def wanted_events(
    caller: Reader,
    window: InWindow,
    type: Annotated[str | None, Query(max_length=128)] = None,
    workflow_id: Annotated[str | None, Query(max_length=128)] = None,
) -> Select[Event]:
    query = events_of(caller.tenant_id)
    if type is not None:
        query = query.where(EVENTS.c.type == type)
    if workflow_id is not None:
        query = query.where(EVENTS.c.workflow_id == workflow_id)
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


@router.post("", status_code=202)
async def publish_event(
    body: EventPublish, caller: Publisher, shared: Shared, once: OnceOnly
) -> Data[EventDetail]:
    """Publish an event: it is stored, with one delivery for every webhook that wants it."""
    data = _checked(body)

    async def work(session: AsyncSession) -> Reply[Data[EventDetail]]:
        [event_id] = await publish(session, caller.tenant_id, [(data, None)], now=utc_now())
        row = await session.get_one(Event, event_id)
        detail = await _detail(session, row, shared)
        return Reply(Data(data=detail), 202, {"Location": f"/v2/events/{event_id}"})

    return await once.reply(Data[EventDetail], work)


@router.get("/{event_id}")
async def get_event(
    event_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[EventDetail]:
    """Get one event, what was sent of it, and its deliveries."""
    row = await find_own(session, Event, event_id, caller.tenant_id)
    if row is None:
        raise NotFound("event", event_id)
    return Data(data=await _detail(session, row, shared))


def _checked(body: EventPublish) -> EventData:
    event_type = EVENT_TYPES.get(body.type)
    if event_type is None:
        nearest = get_close_matches(body.type, EVENT_TYPES, n=1)
        hint = f": did you mean '{nearest[0]}'?" if nearest else ""
        raise Invalid({"type": [f"unknown event type '{body.type}'{hint}"]})
    try:
        return event_type.model_validate_json(json.dumps(body.data))
    except ValidationError as error:
        raise Invalid(by_field(error.errors(), within="data")) from None


async def _detail(session: AsyncSession, row: Event, shared: Services) -> EventDetail:
    deliveries = await deliveries_of_event(session, row.id)
    return EventDetail(
        **_fields(row, shared),
        data=json.loads(row.body)["data"] if row.body is not None else None,
        deliveries=[delivery_view(delivery, shared) for delivery in deliveries],
    )


def _fields(row: Event, shared: Services) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": row.type,
        "workflow_id": row.workflow_id,
        "workflow_url": shared.run_url(row.workflow_id) if row.workflow_id else None,
        "sequence": row.sequence,
        "created_at": row.created_at,
    }

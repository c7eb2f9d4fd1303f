"""The public catalogue: what can be heard of, before anyone has a key."""

from functools import cache

from fastapi import APIRouter
from pydantic import Field, JsonValue

from api.shapes import Data, View
from domain.catalogue import EventData, categories, json_schema

router = APIRouter(prefix="/webhooks/events", tags=["webhooks"])


class EventTypeView(View):
    """One event type: when it is sent, by what, and what its `data` looks like."""

    name: str
    category: str
    description: str
    producer: str
    schema_: dict[str, JsonValue] = Field(alias="schema")
    example: dict[str, JsonValue]


@router.get("")
async def list_event_types() -> Data[dict[str, list[EventTypeView]]]:
    """List the event types by category, with description, JSON schema and example. Needs no key."""
    return Data(data=_catalogue())


@cache
def _catalogue() -> dict[str, list[EventTypeView]]:
    return {
        category: [_view(event) for event in events] for category, events in categories().items()
    }


def _view(event: type[EventData]) -> EventTypeView:
    return EventTypeView.model_validate(
        {
            "name": event.event_type,
            "category": event.category,
            "description": event.description,
            "producer": event.producer,
            "schema": json_schema(event.event_type),
            "example": event.example().model_dump(mode="json"),
        }
    )

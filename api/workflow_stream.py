"""Live progress: a workflow's events as they are told, by server-sent events.

The database is asked again and again, not the engine: what is streamed is what was committed.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Services, Shared
from api.errors import NotNow
from api.workflows import OwnRun
from domain.saga import ENDED
from storage.tables import Event, SagaRun
from storage.views import story_of

STREAMS_MAX: Final = 200  # Each asks the database several times a second.
LOOK_EVERY_S: Final = 0.25
ALIVE_EVERY_S: Final = 15.0
LASTS_S: Final = 600.0  # Then the client connects again, and says what it has seen.
EVENT_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "one event of the stream for each event of the workflow's story",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}

router = APIRouter(prefix="/workflows", tags=["workflows"])
Reader = Annotated[Caller, Depends(Allowed("read", "workflows.read", "workflows.start"))]


class EventStream(StreamingResponse):
    media_type = "text/event-stream"


@router.get("/{type}/{id}/events/stream", response_class=EventStream, responses=EVENT_STREAM)
async def stream_events(
    caller: Reader,
    run: OwnRun,
    shared: Shared,
    last_event_id: Annotated[int, Header(ge=0, le=2**31, description="its sequence")] = 0,
) -> EventStream:
    """Follow a run: what was told so far, then each event as it is told, until the run has ended.

    The event's id is its sequence: a client that connects again goes on where it was.
    """
    if len(shared.streams) >= STREAMS_MAX:
        raise NotNow(f"{STREAMS_MAX} streams are open already: poll the workflow instead")
    return EventStream(_story(shared, run.workflow_id, last_event_id))


async def _story(shared: Services, workflow_id: str, seen: int) -> AsyncIterator[str]:
    place = object()
    shared.streams.add(place)
    try:
        quiet_since = begun = time.monotonic()
        while time.monotonic() - begun < LASTS_S:
            async with shared.database.read() as session:
                events, ended = await _look(session, workflow_id, seen)
            for event in events:
                seen = event.sequence or seen
                yield _line(event)
            if ended:
                return
            if events:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > ALIVE_EVERY_S:
                quiet_since = time.monotonic()
                yield ": alive\n\n"
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        shared.streams.discard(place)


async def _look(session: AsyncSession, workflow_id: str, seen: int) -> tuple[list[Event], bool]:
    """What was told since, and whether there will be no more."""
    run = await session.get_one(SagaRun, workflow_id)
    if run.last_sequence <= seen:
        return [], run.state in ENDED
    return list(await story_of(session, workflow_id, after=seen)), run.state in ENDED


def _line(event: Event) -> str:
    body = json.loads(event.body) if event.body is not None else None
    return f"id: {event.sequence}\nevent: {event.type}\ndata: {json.dumps(body)}\n\n"

"""Try a webhook: send it a test event, ask its filter about one, see how its POSTs fare."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field, JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.deliveries import AttemptView, DeliveryView, attempt_view, delivery_view
from api.dependencies import Session, Shared, Wait
from api.errors import ApiError, Invalid, NotFound
from api.events import ClauseView, checked, clause_views, event_type_named
from api.fields import Body
from api.once import OnceOnly, Reply
from api.shapes import Data, View
from api.webhook_shapes import Filter
from api.webhooks import own_webhook
from domain import payload_filter
from domain.catalogue import TEST_EVENT, EventData, matches
from domain.payload_filter import Explanation
from storage import redelivery
from storage.listing import find_own
from storage.outbox import WAITING_HEALTH, publish_to
from storage.redelivery import By, Changed
from storage.tables import Delivery, Event
from storage.types import utc_now
from storage.views import attempts_at

ANSWERS_WITHIN_S = 10.0
LOOK_EVERY_S = 0.05
EVERYTHING_PASSES = Explanation(matched=True, clauses=())

router = APIRouter(prefix="/webhooks/{webhook_id}", tags=["webhooks"])
Reader = Annotated[Caller, Depends(Allowed("read", "webhooks.read", "webhooks.manage"))]
Writer = Annotated[Caller, Depends(Allowed("write", "webhooks.manage"))]


class Trial(Body):
    """What to send: without anything an event `test.webhook`; of another type a sample of it."""

    type: Annotated[str, Field(max_length=128)] = TEST_EVENT.event_type
    data: dict[str, JsonValue] | None = None


class TrialView(View):
    """What became of the test. `attempt` is None where none was made in the time waited."""

    event_id: str
    delivery: DeliveryView
    attempt: AttemptView | None


class Question(Body):
    """Would an event pass? Say which, by its id or by its type and `data`; and by which filter.

    Without a `filter` the webhook's own is asked, and its event types, too.
    """

    filter: Filter | None = None
    event_id: Annotated[str | None, Field(max_length=64)] = None
    type: Annotated[str | None, Field(max_length=128)] = None
    data: dict[str, JsonValue] | None = None


class MatchView(View):
    """Whether the event would be sent, and what each clause of the filter made of it."""

    matched: bool
    type_matched: bool
    filter_matched: bool
    clauses: list[ClauseView]


class Trials:
    """Sends a test and waits for its first attempt."""

    def __init__(self, webhook_id: str, shared: Shared, once: OnceOnly) -> None:
        self._webhook_id = webhook_id
        self._shared = shared
        self._once = once

    async def send(self, trial: Trial, caller: Caller, seconds: float) -> Data[TrialView]:
        data = _payload(trial, self._webhook_id)
        changed: list[Changed] = []

        async def work(session: AsyncSession) -> Reply[Data[TrialView]]:
            endpoint = await own_webhook(session, self._webhook_id, caller)
            if endpoint.disabled_at is not None:
                text = "this webhook is disabled: enable it before testing it"
                raise ApiError(text).under(409, "webhook_disabled")
            _, delivery_id = await publish_to(session, endpoint, data, now=utc_now())
            changed.clear()
            if endpoint.health in WAITING_HEALTH:  # Then it is the one to probe with.
                by = By(caller.key_id, "a test")
                changed.append(await redelivery.redeliver(session, delivery_id, by, now=utc_now()))
            return Reply(Data(data=await self._view(session, delivery_id)), 202)

        reply = await self._once.commit(Data[TrialView], work)
        for one in changed:
            await self._shared.delivery_control.tell(one)
        if reply.body.data.attempt is None:
            reply = await self._attempted(reply, seconds)
        return self._once.send(reply)

    async def _attempted(
        self, accepted: Reply[Data[TrialView]], seconds: float
    ) -> Reply[Data[TrialView]]:
        until = time.monotonic() + min(seconds, self._shared.settings.api_wait_max.total_seconds())
        while time.monotonic() < until:
            await asyncio.sleep(LOOK_EVERY_S)
            async with self._shared.database.read() as session:
                view = await self._view(session, accepted.body.data.delivery.id)
            if view.attempt is not None:
                reply = replace(accepted, body=Data(data=view), status=200)
                await self._once.settle(reply)
                return reply
        return accepted

    async def _view(self, session: AsyncSession, delivery_id: str) -> TrialView:
        delivery = await session.get_one(Delivery, delivery_id, populate_existing=True)
        attempts = await attempts_at(session, delivery_id)
        return TrialView(
            event_id=delivery.event_id,
            delivery=delivery_view(delivery, self._shared),
            attempt=attempt_view(attempts[-1]) if attempts else None,
        )


Trying = Annotated[Trials, Depends()]


@router.post("/test", responses={202: {"model": Data[TrialView]}})
async def try_webhook(
    trying: Trying, caller: Writer, wait: Wait, body: Trial | None = None
) -> Data[TrialView]:
    """Send this webhook a real, signed event, and answer with what it answered."""
    return await trying.send(body or Trial(), caller, ANSWERS_WITHIN_S if wait is None else wait)


@router.post("/filter/test")
async def try_filter(
    webhook_id: str, body: Question, caller: Reader, session: Session
) -> Data[MatchView]:
    """Say whether an event would be sent to this webhook, and explain it. Nothing is sent."""
    endpoint = await own_webhook(session, webhook_id, caller)
    event_type, data = await _event_in_question(session, body, caller)
    filter = body.filter if body.filter is not None else endpoint.payload_filter
    asks_for_type = matches(endpoint.event_types, event_type)
    explained = EVERYTHING_PASSES
    if filter is not None:
        explained = payload_filter.explain(payload_filter.parse(filter), data)
    view = MatchView(
        matched=asks_for_type and explained.matched,
        type_matched=asks_for_type,
        filter_matched=explained.matched,
        clauses=clause_views(explained.clauses),
    )
    return Data(data=view)


async def _event_in_question(
    session: AsyncSession, body: Question, caller: Caller
) -> tuple[str, Mapping[str, Any]]:
    if body.event_id is None:
        if body.type is None:
            raise Invalid({"event_id": ["give an event's id, or a type and data"]})
        event_type = event_type_named(body.type)
        return body.type, body.data if body.data is not None else _sample(event_type)
    event = await find_own(session, Event, body.event_id, caller.tenant_id)
    if event is None:
        raise NotFound("event", body.event_id)
    if event.body is None:
        raise Invalid({"event_id": ["the content of this event is expunged"]})
    data: dict[str, Any] = json.loads(event.body)["data"]
    return event.type, data


def _payload(trial: Trial, webhook_id: str) -> EventData:
    if trial.type != TEST_EVENT.event_type:
        event_type = event_type_named(trial.type)
        return event_type.example() if trial.data is None else checked(event_type, trial.data)
    sample = _sample(TEST_EVENT) | {"webhook_id": webhook_id}
    given = {name: value for name, value in (trial.data or {}).items() if name != "webhook_id"}
    return checked(TEST_EVENT, sample | given)


def _sample(event_type: type[EventData]) -> dict[str, Any]:
    sample: dict[str, Any] = event_type.example().model_dump(mode="json", by_alias=True)
    return sample

"""Deliveries: what became of an event on its way to a webhook, attempt by attempt."""

import json
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import JsonValue
from sqlalchemy import Select

from api.auth import Allowed, Caller
from api.dependencies import Services, Session, Shared
from api.errors import NotFound
from api.paging import InWindow, Pages
from api.shapes import Data, Page, Timestamp, View
from storage.listing import find_own
from storage.outbox import DELIVERIES
from storage.tables import Attempt, Delivery, DeliveryChange, Endpoint, Event
from storage.views import DELIVERY_ORDER, attempts_at, changes_of, deliveries_of
from storage.webhooks import UNSETTLED, endpoints_by_id

State = Literal[
    "pending", "claimed", "retrying", "parked", "succeeded", "dead_lettered", "cancelled"
]
STATUS_OF: dict[str, Literal["pending", "success", "failed"]] = {
    **dict.fromkeys(UNSETTLED, "pending"),
    "succeeded": "success",
    "dead_lettered": "failed",
    "cancelled": "failed",
}

router = APIRouter(prefix="/deliveries", tags=["deliveries"])
Reader = Annotated[Caller, Depends(Allowed("read", "deliveries.read", "webhooks.manage"))]


class DeliveryView(View):
    """One event on its way to one webhook. `status` is `state` in three words."""

    id: str
    event_id: str
    event_type: str
    webhook_id: str
    state: State
    status: Literal["pending", "success", "failed"]
    reason: str | None
    attempts: int
    next_attempt_at: Timestamp | None
    workflow_id: str | None
    workflow_url: str | None
    created_at: Timestamp
    settled_at: Timestamp | None


class AttemptView(View):
    """One POST: what came back, what was decided, and why."""

    number: int
    trigger: str
    sent_at: Timestamp
    duration_ms: int
    outcome: str
    status_code: int | None
    error: str | None
    decision: str
    reason: str
    next_attempt_at: Timestamp | None
    response_headers: list[list[str]]
    response_body: str


class TimelineEntry(View):
    at: Timestamp
    state: str
    reason: str
    actor: str


class DeliveryDetail(DeliveryView):
    """A delivery with its whole story."""

    webhook_url: str | None
    payload: JsonValue
    attempt_list: list[AttemptView]
    timeline: list[TimelineEntry]


def delivery_filters(
    window: InWindow,
    state: Annotated[State | Literal["undelivered"] | None, Query()] = None,
    reason: Annotated[str | None, Query(max_length=128)] = None,
    event_type: Annotated[str | None, Query(max_length=128)] = None,
) -> list[object]:
    conditions: list[object] = [*window.over_ids(DELIVERIES.c.id, "dlv")]
    if state == "undelivered":
        conditions.append(DELIVERIES.c.state != "succeeded")
    elif state is not None:
        conditions.append(DELIVERIES.c.state == state)
    if reason is not None:
        conditions.append(DELIVERIES.c.reason == reason)
    if event_type is not None:
        conditions.append(DELIVERIES.c.event_type == event_type)
    return conditions


Filters = Annotated[list[object], Depends(delivery_filters)]


def wanted_deliveries(
    caller: Reader,
    filters: Filters,
    webhook: Annotated[str | None, Query(max_length=64)] = None,
    event: Annotated[str | None, Query(max_length=64)] = None,
) -> Select[Delivery]:
    query = deliveries_of(caller.tenant_id).where(*filters)  # type: ignore[arg-type]
    if webhook is not None:
        query = query.where(DELIVERIES.c.endpoint_id == webhook)
    if event is not None:
        query = query.where(DELIVERIES.c.event_id == event)
    return query


@router.get("")
async def list_deliveries(
    wanted: Annotated[Select[Delivery], Depends(wanted_deliveries)],
    session: Session,
    shared: Shared,
    pages: Pages,
) -> Page[DeliveryView]:
    """List deliveries, the newest first; `state=undelivered` is everything not yet delivered."""
    listed = await pages.find(session, wanted, DELIVERY_ORDER)
    return pages.show(listed, lambda row: delivery_view(row, shared))


@router.get("/{delivery_id}")
async def get_delivery(
    delivery_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[DeliveryDetail]:
    """Get one delivery: every attempt, every change of its state, and what was sent."""
    row = await find_own(session, Delivery, delivery_id, caller.tenant_id)
    if row is None:
        raise NotFound("delivery", delivery_id)
    attempts = await attempts_at(session, row.id)
    changes = await changes_of(session, row.id)
    endpoints = await endpoints_by_id(session, caller.tenant_id, [row.endpoint_id])
    event = await session.get_one(Event, row.event_id)
    return Data(
        data=DeliveryDetail(
            **delivery_view(row, shared).model_dump(),
            webhook_url=_url_of(endpoints.get(row.endpoint_id)),
            payload=json.loads(event.body) if event.body is not None else None,
            attempt_list=[attempt_view(attempt) for attempt in attempts],
            timeline=_timeline(row, attempts, changes),
        )
    )


def delivery_view(row: Delivery, shared: Services) -> DeliveryView:
    workflow_id = _workflow_id(row)
    return DeliveryView.model_validate(
        row.model_dump()
        | {
            "webhook_id": row.endpoint_id,
            "status": STATUS_OF[row.state],
            "workflow_id": workflow_id,
            "workflow_url": shared.run_url(workflow_id) if workflow_id else None,
        }
    )


def attempt_view(attempt: Attempt) -> AttemptView:
    body = attempt.response_body.decode(errors="replace")
    return AttemptView.model_validate(attempt.model_dump() | {"response_body": body})


def _workflow_id(row: Delivery) -> str | None:
    """The run that sends it: its own once it is retried, before that its claim's."""
    if row.state == "retrying" or row.attempts > 1:
        return f"delivery/{row.id}"
    return f"claim/{row.claim_id}" if row.claim_id else None


def _url_of(endpoint: Endpoint | None) -> str | None:
    return endpoint.url if endpoint else None


def _timeline(
    row: Delivery, attempts: Sequence[Attempt], changes: Sequence[DeliveryChange]
) -> list[TimelineEntry]:
    entries = [TimelineEntry(at=row.created_at, state="pending", reason="created", actor="system")]
    for attempt in attempts:
        state = {"retry": "retrying", "park": "parked"}.get(attempt.decision, "attempted")
        reason = f"attempt {attempt.number}: {attempt.reason}"
        entries.append(
            TimelineEntry(at=attempt.sent_at, state=state, reason=reason, actor="system")
        )
    entries += [
        TimelineEntry(at=change.at, state=change.to_state, reason=change.reason, actor=change.actor)
        for change in changes
    ]
    if row.settled_at is not None:
        reason = row.reason or row.state
        entries.append(
            TimelineEntry(at=row.settled_at, state=row.state, reason=reason, actor="system")
        )
    return sorted(entries, key=lambda entry: entry.at)

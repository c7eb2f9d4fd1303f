"""Webhooks: where a customer wants to hear of events. Elsewhere in this code: endpoints."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.deliveries import DeliveryView, Filters, delivery_view
from api.dependencies import Services, Session, Shared
from api.errors import NotFound
from api.once import OnceOnly, Reply
from api.paging import Pages
from api.shapes import Data, Done, Page
from api.webhook_shapes import (
    REDACTED,
    Statistics,
    WebhookCreate,
    WebhookCreated,
    WebhookOptions,
    WebhookUpdate,
    WebhookView,
)
from domain.ids import new_id
from domain.signing import Secret, accept_secret, new_secret
from domain.url_policy import check_url
from storage.attempts import disable
from storage.outbox import DELIVERIES, ENDPOINTS
from storage.tables import Delivery, Endpoint, EndpointSecret
from storage.types import utc_now
from storage.views import DELIVERY_ORDER, deliveries_of
from storage.webhooks import (
    STATISTICS_WINDOW,
    UNSETTLED,
    add_webhook,
    delete_webhook,
    enable,
    find_webhook,
    recent_states,
    webhooks_of,
)

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
Reader = Annotated[Caller, Depends(Allowed("read", "webhooks.read", "webhooks.manage"))]
Writer = Annotated[Caller, Depends(Allowed("write", "webhooks.manage"))]
Deleter = Annotated[Caller, Depends(Allowed("delete", "webhooks.manage"))]

BY_OWNER = "by_owner"


@router.post("", status_code=201)
async def create_webhook(
    body: WebhookCreate, caller: Writer, shared: Shared, once: OnceOnly
) -> Data[WebhookCreated]:
    """Make a webhook. Its secret is in this answer and nowhere else."""
    check_url(body.url, shared.policy)
    secret = accept_secret(body.secret) if body.secret else new_secret()

    async def work(session: AsyncSession) -> Reply[Data[WebhookCreated]]:
        endpoint = _endpoint(body, caller, shared)
        await add_webhook(session, endpoint, _sealed_secret(endpoint, secret, shared))
        view = await _view(session, endpoint, shared)
        created = WebhookCreated(**view.model_dump(), secret=secret.reveal())
        return Reply(Data(data=created), 201, {"Location": f"/v2/webhooks/{endpoint.id}"})

    return await once.reply(Data[WebhookCreated], work)


@router.get("")
async def list_webhooks(
    caller: Reader, session: Session, shared: Shared, pages: Pages
) -> Page[WebhookView]:
    """List webhooks, the newest first."""
    listed = await pages.find(session, webhooks_of(caller.tenant_id), (ENDPOINTS.c.id,))
    views = [await _view(session, row, shared) for row in listed.rows]
    return pages.show_all(listed, views)


@router.get("/{webhook_id}")
async def get_webhook(
    webhook_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[WebhookView]:
    """Get one webhook."""
    row = await own_webhook(session, webhook_id, caller)
    return Data(data=await _view(session, row, shared))


@router.put("/{webhook_id}")
@router.patch("/{webhook_id}")
async def update_webhook(
    webhook_id: str, body: WebhookUpdate, caller: Writer, shared: Shared
) -> Data[WebhookView]:
    """Change what is given; PUT and PATCH are the same. `is_active` switches it off and on."""
    if body.url is not None:
        check_url(body.url, shared.policy)

    async def work(session: AsyncSession) -> Data[WebhookView]:
        row = await own_webhook(session, webhook_id, caller)
        for name, value in body.columns().items():
            setattr(row, name, value)
        if "headers" in body.model_fields_set:
            row.headers_sealed = _seal_headers(row, _with_kept(body, row, shared), shared)
        row.updated_at = utc_now()
        await session.flush()
        if "is_active" in body.model_fields_set:
            await _switch(session, row, on=body.is_active)
        return Data(data=await _view(session, row, shared))

    return await shared.database.transact(work)


@router.delete("/{webhook_id}")
async def remove_webhook(webhook_id: str, caller: Deleter, shared: Shared) -> Done:
    """Delete a webhook. What was not delivered to it by now is cancelled."""

    async def work(session: AsyncSession) -> None:
        row = await own_webhook(session, webhook_id, caller)
        await delete_webhook(session, row, now=utc_now())

    await shared.database.transact(work)
    return Done.model_validate({"message": f"webhook {webhook_id} is deleted"})


async def wanted_deliveries(
    webhook_id: str, caller: Reader, session: Session, filters: Filters
) -> Select[Delivery]:
    row = await own_webhook(session, webhook_id, caller)
    query = deliveries_of(caller.tenant_id).where(DELIVERIES.c.endpoint_id == row.id)
    return query.where(*filters)  # type: ignore[arg-type]


@router.get("/{webhook_id}/deliveries")
async def list_webhook_deliveries(
    wanted: Annotated[Select[Delivery], Depends(wanted_deliveries)],
    session: Session,
    shared: Shared,
    pages: Pages,
) -> Page[DeliveryView]:
    """List what was sent to one webhook, the newest first."""
    listed = await pages.find(session, wanted, DELIVERY_ORDER)
    return pages.show(listed, lambda row: delivery_view(row, shared))


async def own_webhook(session: AsyncSession, webhook_id: str, caller: Caller) -> Endpoint:
    row = await find_webhook(session, webhook_id, caller.tenant_id)
    if row is None:
        raise NotFound("webhook", webhook_id)
    return row


def _endpoint(body: WebhookCreate, caller: Caller, shared: Services) -> Endpoint:
    endpoint = Endpoint(id=new_id("ep"), tenant_id=caller.tenant_id, **body.columns())
    if body.headers:
        endpoint.headers_sealed = _seal_headers(endpoint, body.headers, shared)
    if not body.is_active:
        endpoint.health, endpoint.disabled_at = "disabled", utc_now()
        endpoint.disabled_reason = BY_OWNER
    return endpoint


def _sealed_secret(endpoint: Endpoint, secret: Secret, shared: Services) -> EndpointSecret:
    id = new_id("sec")
    return EndpointSecret(
        id=id,
        endpoint_id=endpoint.id,
        sealed=shared.vault.seal(secret.reveal().encode(), bound_to=id),
        key_id=shared.vault.key_id,
    )


def _seal_headers(endpoint: Endpoint, headers: dict[str, str], shared: Services) -> bytes | None:
    if not headers:
        return None
    return shared.vault.seal(json.dumps(headers).encode(), bound_to=endpoint.id)


def _headers(endpoint: Endpoint, shared: Services) -> dict[str, str]:
    if endpoint.headers_sealed is None:
        return {}
    opened = shared.vault.open(endpoint.headers_sealed, bound_to=endpoint.id)
    headers: dict[str, str] = json.loads(opened)
    return headers


def _with_kept(body: WebhookOptions, endpoint: Endpoint, shared: Services) -> dict[str, str]:
    """A client that sends back what it read means the values that it was not shown."""
    kept = _headers(endpoint, shared)
    return {
        name: kept.get(name, value) if value == REDACTED else value
        for name, value in body.headers.items()
    }


async def _switch(session: AsyncSession, row: Endpoint, *, on: bool) -> None:
    if on and row.health == "disabled":
        await enable(session, row, now=utc_now())
    elif not on and row.disabled_at is None:
        await disable(session, row.id, BY_OWNER, now=utc_now())
        await session.refresh(row)


async def _view(session: AsyncSession, row: Endpoint, shared: Services) -> WebhookView:
    active = row.disabled_at is None
    changed: dict[str, Any] = {
        "uuid": row.id,
        "events": row.event_types,
        "headers": dict.fromkeys(_headers(row, shared), REDACTED),
        "is_active": active,
        "active": active,
        "metadata": row.endpoint_metadata,
        "statistics": _statistics(await recent_states(session, row.id)),
    }
    return WebhookView.model_validate(row.model_dump() | changed)


def _statistics(states: dict[str, int]) -> Statistics:
    succeeded = states.get("succeeded", 0)
    failed = states.get("dead_lettered", 0)
    settled = succeeded + failed
    return Statistics(
        window=f"the last {STATISTICS_WINDOW} deliveries",
        deliveries=sum(states.values()),
        succeeded=succeeded,
        failed=failed,
        pending=sum(states.get(state, 0) for state in UNSETTLED),
        success_rate=f"{100 * succeeded / settled:.1f}" if settled else None,
    )

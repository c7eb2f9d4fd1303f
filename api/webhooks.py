"""Webhooks: where a customer wants to hear of events. Elsewhere in this code: endpoints."""

from typing import Annotated

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
    WebhookCreate,
    WebhookCreated,
    WebhookUpdate,
    WebhookView,
    check_order,
)
from api.webhook_views import seal_headers, webhook_view, with_kept
from domain.ids import new_id
from domain.signing import accept_secret, new_secret
from domain.url_policy import check_url
from runtime.safe import seal_secret
from storage.health import disable
from storage.outbox import DELIVERIES, ENDPOINTS
from storage.redelivery import By
from storage.secrets import Audit
from storage.tables import Delivery, Endpoint
from storage.types import utc_now
from storage.views import DELIVERY_ORDER, deliveries_of
from storage.webhooks import add_webhook, delete_webhook, enable, find_webhook, webhooks_of

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
        sealed = seal_secret(shared.vault, endpoint.id, secret)
        await add_webhook(session, endpoint, sealed)
        audit = Audit(session, endpoint, "v1", caller.key_id, utc_now())
        await audit.tell("created", [sealed.id])
        view = await webhook_view(session, endpoint, shared)
        created = WebhookCreated(**view.model_dump(), secret=secret.reveal())
        return Reply(Data(data=created), 201, {"Location": f"/v2/webhooks/{endpoint.id}"})

    return await once.reply(Data[WebhookCreated], work)


@router.get("")
async def list_webhooks(
    caller: Reader, session: Session, shared: Shared, pages: Pages
) -> Page[WebhookView]:
    """List webhooks, the newest first."""
    listed = await pages.find(session, webhooks_of(caller.tenant_id), (ENDPOINTS.c.id,))
    views = [await webhook_view(session, row, shared) for row in listed.rows]
    return pages.show_all(listed, views)


@router.get("/{webhook_id}")
async def get_webhook(
    webhook_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[WebhookView]:
    """Get one webhook."""
    row = await own_webhook(session, webhook_id, caller)
    return Data(data=await webhook_view(session, row, shared))


@router.put("/{webhook_id}")
@router.patch("/{webhook_id}")
async def update_webhook(
    webhook_id: str, body: WebhookUpdate, caller: Writer, shared: Shared
) -> Data[WebhookView]:
    """Change what is given; PUT and PATCH are the same. `is_active` switches it off and on."""
    if body.url is not None:
        check_url(body.url, shared.policy)

    async def work(session: AsyncSession) -> tuple[Data[WebhookView], bool]:
        row = await own_webhook(session, webhook_id, caller)
        _change(row, body, shared)
        await session.flush()
        has_parked = False
        if "is_active" in body.model_fields_set:
            by = By(caller.key_id, "switched by its owner")
            has_parked = await _switch(session, row, by, on=body.is_active)
        return Data(data=await webhook_view(session, row, shared)), has_parked

    view, has_parked = await shared.database.transact(work)
    if has_parked:
        await shared.delivery_control.recover(webhook_id)
    return view


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


def _change(row: Endpoint, body: WebhookUpdate, shared: Services) -> None:
    for name, value in body.columns().items():
        setattr(row, name, value)
    check_order(row.ordering, row.ordering_key)
    if "headers" in body.model_fields_set:
        row.headers_sealed = seal_headers(row, with_kept(body, row, shared), shared)
    row.updated_at = utc_now()


def _endpoint(body: WebhookCreate, caller: Caller, shared: Services) -> Endpoint:
    endpoint = Endpoint(id=new_id("ep"), tenant_id=caller.tenant_id, **body.columns())
    check_order(endpoint.ordering, endpoint.ordering_key)
    endpoint.headers_sealed = seal_headers(endpoint, body.headers, shared)
    if not body.is_active:
        endpoint.health, endpoint.disabled_at = "disabled", utc_now()
        endpoint.disabled_reason = BY_OWNER
    return endpoint


async def _switch(session: AsyncSession, row: Endpoint, by: By, *, on: bool) -> bool:
    """Returns whether something is parked that must be sent now."""
    if on and row.health == "disabled":
        return await enable(session, row, by, now=utc_now())
    if not on and row.disabled_at is None:
        await disable(session, row.id, BY_OWNER, now=utc_now())
        await session.refresh(row)
    return False

"""Switch a webhook off and on, and say what becomes of what waits for it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Shared
from api.fields import Body
from api.shapes import Told
from api.webhook_shapes import WebhookView
from api.webhook_views import webhook_view
from api.webhooks import BY_OWNER, own_webhook
from storage.health import disable
from storage.redelivery import By
from storage.types import utc_now
from storage.webhooks import enable

router = APIRouter(prefix="/webhooks/{webhook_id}", tags=["webhooks"])
Writer = Annotated[Caller, Depends(Allowed("write", "webhooks.manage"))]


class Enable(Body):
    """What becomes of what was parked meanwhile.

    `drain` sends all of it, oldest first, at a bounded rate; `skip` cancels it; `newest_per_key`
    sends the newest of each ordering key, or of each event type, and cancels the others.
    """

    parked: Literal["drain", "skip", "newest_per_key"] = "drain"


class Disable(Body):
    """Why, for whoever finds it disabled."""

    reason: Annotated[str, Field(min_length=1, max_length=255)] = BY_OWNER


@router.post(
    "/enable",
    responses={
        202: {"model": Told[WebhookView], "description": "what was parked is being drained"}
    },
)
async def enable_webhook(
    webhook_id: str, caller: Writer, shared: Shared, response: Response, body: Enable | None = None
) -> Told[WebhookView]:
    """Send again. Nothing that was told meanwhile is lost, unless you say so.

    202 while what was parked is being seen to: then the webhook is `recovering`.
    """
    parked = (body or Enable()).parked
    by = By(caller.key_id, "enabled by its owner")

    async def work(session: AsyncSession) -> tuple[WebhookView, bool]:
        row = await own_webhook(session, webhook_id, caller)
        has_parked = await enable(session, row, by, parked=parked, now=utc_now())
        return await webhook_view(session, row, shared), has_parked

    view, has_parked = await shared.database.transact(work)
    if not has_parked:
        return Told(data=view, message=f"{webhook_id} is enabled, and nothing is parked for it")
    await shared.delivery_control.recover(webhook_id)
    response.status_code = 202
    response.headers["Location"] = f"/v2/webhooks/{webhook_id}"
    return Told(data=view, message=f"{webhook_id} is enabled; what was parked: {parked}")


@router.post("/disable")
async def disable_webhook(
    webhook_id: str, caller: Writer, shared: Shared, body: Disable | None = None
) -> Told[WebhookView]:
    """Stop sending. What is told from now on is parked, and sent once it is enabled again."""
    reason = (body or Disable()).reason

    async def work(session: AsyncSession) -> WebhookView:
        row = await own_webhook(session, webhook_id, caller)
        await disable(session, row.id, reason, now=utc_now())
        await session.refresh(row)
        return await webhook_view(session, row, shared)

    view = await shared.database.transact(work)
    return Told(data=view, message=f"{webhook_id} is disabled")

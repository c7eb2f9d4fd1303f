"""What a person does to one delivery: redeliver it, cancel it, pause it, let it go on."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.deliveries import DeliveryView, delivery_view
from api.dependencies import Shared
from api.errors import NotFound
from api.fields import Body
from api.once import OnceOnly, Reply
from api.shapes import Told
from storage import redelivery
from storage.listing import find_own
from storage.redelivery import By, Changed
from storage.tables import Delivery
from storage.types import utc_now

router = APIRouter(prefix="/deliveries/{delivery_id}", tags=["deliveries"])
Writer = Annotated[Caller, Depends(Allowed("write", "deliveries.manage", "webhooks.manage"))]

Order = Callable[..., Awaitable[Changed]]


class Why(Body):
    """Why, for the delivery's timeline."""

    reason: Annotated[str | None, Field(min_length=1, max_length=255)] = None


class Ordering:
    """Does what somebody orders to one delivery of theirs, and tells its running workflow."""

    def __init__(self, delivery_id: str, caller: Writer, shared: Shared, once: OnceOnly) -> None:
        self._delivery_id = delivery_id
        self._caller = caller
        self._shared = shared
        self._once = once

    async def do(
        self, order: Order, why: Why | None, said: str, *, status: int = 200
    ) -> Told[DeliveryView]:
        by = By(self._caller.key_id, why.reason if why and why.reason else said)
        place = {"Location": f"/v2/deliveries/{self._delivery_id}"} if status == 202 else {}
        changed: list[Changed] = []  # Nothing, where the answer is given again.

        async def work(session: AsyncSession) -> Reply[Told[DeliveryView]]:
            row = await self._own(session)
            changed[:] = [await order(session, self._delivery_id, by, now=utc_now())]
            await session.refresh(row)
            view = delivery_view(row, self._shared)
            return Reply(Told(data=view, message=f"{self._delivery_id}: {said}"), status, place)

        reply = await self._once.commit(Told[DeliveryView], work)
        for one in changed:
            await self._shared.delivery_control.tell(one)
        return self._once.send(reply)

    async def _own(self, session: AsyncSession) -> Delivery:
        row = await find_own(session, Delivery, self._delivery_id, self._caller.tenant_id)
        if row is None:
            raise NotFound("delivery", self._delivery_id)
        return row


Asked = Annotated[Ordering, Depends()]


@router.post("/redeliver", status_code=202)
async def redeliver(asked: Asked, why: Why | None = None) -> Told[DeliveryView]:
    """Send it now: a retry that waits, at once; a settled one, once more, under the same event id.

    409 while its webhook is disabled.
    """
    return await asked.do(redelivery.redeliver, why, "redelivered", status=202)


@router.post("/cancel")
async def cancel(asked: Asked, why: Why | None = None) -> Told[DeliveryView]:
    """Send it no more. 409 if it is settled."""
    return await asked.do(redelivery.cancel, why, "cancelled")


@router.post("/pause")
async def pause(asked: Asked, why: Why | None = None) -> Told[DeliveryView]:
    """Keep it from being sent until it is resumed; an attempt that is under way is not stopped."""
    return await asked.do(redelivery.pause, why, "paused")


@router.post("/resume", status_code=202)
async def resume(asked: Asked, why: Why | None = None) -> Told[DeliveryView]:
    """Let a paused one go on; a retry is due now. 409 if it is not paused."""
    return await asked.do(redelivery.resume, why, "resumed", status=202)

"""Rotations of a webhook's signing secret: begin one, roll it back, see how far each came."""

import logging
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.service import RPCError

from api.auth import Allowed, Caller
from api.dependencies import Services, Session, Shared
from api.errors import NotFound, engine_is_away
from api.fields import Body
from api.once import OnceOnly, Reply
from api.paging import Pages
from api.shapes import Data, Page, Timestamp, View
from api.webhooks import own_webhook
from domain.signing import accept_secret, new_key_pair, new_secret, public_key
from runtime.lifecycle import tell_rotation
from runtime.safe import seal_secret
from storage.lifecycle_tables import SecretRotation
from storage.secrets import (
    ROTATION_ORDER,
    RotationOrder,
    find_rotation,
    open_rotation,
    roll_back,
    rotate,
    rotations_of,
)
from storage.tables import EndpointSecret
from storage.types import utc_now

OVERLAP_S_MAX = 604_800

router = APIRouter(prefix="/webhooks/{webhook_id}", tags=["webhooks"])
Reader = Annotated[Caller, Depends(Allowed("read", "webhooks.read", "webhooks.manage"))]
Writer = Annotated[Caller, Depends(Allowed("write", "webhooks.manage"))]

logger = logging.getLogger("sagapost.api")


class Rotate(Body):
    """How long the old secret signs beside the new one. Without a `secret` one is made."""

    overlap_s: Annotated[int, Field(ge=0, le=OVERLAP_S_MAX)] = 86_400
    kind: Literal["v1", "v1a"] = "v1"
    secret: Annotated[str | None, Field(max_length=256)] = None


class RotationView(View):
    """A rotation. Until `ends_at` both secrets sign, so a receiver may have either."""

    id: str
    kind: Literal["v1", "v1a"]
    state: Literal["overlapping", "completed", "rolled_back"]
    new_secret_id: str
    old_secret_ids: list[str]
    started_by: str
    started_at: Timestamp
    ends_at: Timestamp
    workflow_id: str
    workflow_url: str


class Rotated(RotationView):
    """A rotation that has just begun. The new secret is not shown again.

    Of a key pair, `public_key` is what receivers need, and the private half is shown to nobody.
    """

    secret: str | None
    public_key: str | None


@router.post("/rotate-secret", status_code=202)
async def rotate_secret(
    webhook_id: str, caller: Writer, shared: Shared, once: OnceOnly, body: Rotate | None = None
) -> Data[Rotated]:
    """Let a new secret sign from now on, and the old ones beside it until the overlap ends.

    The tenant is told by `system.status_change`. The secret is in this answer and nowhere else.
    """
    order = body or Rotate()
    overlap = timedelta(seconds=order.overlap_s)

    async def work(session: AsyncSession) -> Reply[Data[Rotated]]:
        endpoint = await own_webhook(session, webhook_id, caller)
        sealed, shown = _new(order, endpoint.id, shared)
        rotation = await rotate(
            session, endpoint, RotationOrder(sealed, caller.key_id, overlap), now=utc_now()
        )
        view = rotation_view(rotation, shared).model_dump()
        place = {"Location": f"/v2/webhooks/{webhook_id}/rotations/{rotation.id}"}
        return Reply(Data(data=Rotated(**view, **shown)), 202, place)

    rotated = await once.reply(Data[Rotated], work)
    await _tell(webhook_id, shared)
    return rotated


@router.post("/rotate-secret/rollback")
async def roll_secret_back(webhook_id: str, caller: Writer, shared: Shared) -> Data[RotationView]:
    """Stop signing with the new secret at once, and keep the old ones. 409 if none overlap."""

    async def work(session: AsyncSession) -> SecretRotation:
        endpoint = await own_webhook(session, webhook_id, caller)
        return await roll_back(session, endpoint, actor=caller.key_id, now=utc_now())

    rotation = await shared.database.transact(work)
    await _tell_one(rotation, shared)
    return Data(data=rotation_view(rotation, shared))


async def wanted_rotations(
    webhook_id: str, caller: Reader, session: Session
) -> Select[SecretRotation]:
    endpoint = await own_webhook(session, webhook_id, caller)
    return rotations_of(endpoint.id)


@router.get("/rotations")
async def list_rotations(
    wanted: Annotated[Select[SecretRotation], Depends(wanted_rotations)],
    session: Session,
    shared: Shared,
    pages: Pages,
) -> Page[RotationView]:
    """List the rotations of a webhook's secrets, the newest first."""
    listed = await pages.find(session, wanted, ROTATION_ORDER)
    return pages.show(listed, lambda rotation: rotation_view(rotation, shared))


@router.get("/rotations/{rotation_id}")
async def get_rotation(
    webhook_id: str, rotation_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[RotationView]:
    """Get one rotation: whether both secrets sign, until when, and how it ended."""
    endpoint = await own_webhook(session, webhook_id, caller)
    rotation = await find_rotation(session, endpoint.id, rotation_id)
    if rotation is None:
        raise NotFound("rotation", rotation_id)
    return Data(data=rotation_view(rotation, shared))


def _new(
    order: Rotate, endpoint_id: str, shared: Services
) -> tuple[EndpointSecret, dict[str, str | None]]:
    """The row of the new secret, and what of it is shown."""
    if order.kind == "v1a":
        pair = new_key_pair()
        sealed = seal_secret(shared.vault, endpoint_id, pair, kind="v1a")
        return sealed, {"secret": None, "public_key": public_key(pair)}
    secret = accept_secret(order.secret) if order.secret else new_secret()
    sealed = seal_secret(shared.vault, endpoint_id, secret)
    return sealed, {"secret": secret.reveal(), "public_key": None}


async def _tell(webhook_id: str, shared: Services) -> None:
    async with shared.database.read() as session:
        rotation = await open_rotation(session, webhook_id)
    if rotation is not None:
        await _tell_one(rotation, shared)


async def _tell_one(rotation: SecretRotation, shared: Services) -> None:
    """Where the engine does not answer, the worker tells it later: the row says what is so."""
    try:
        await tell_rotation(shared.temporal, rotation)
    except (RPCError, RuntimeError) as error:
        if not engine_is_away(error):
            raise
        logger.warning("rotation not told", extra={"rotation": rotation.id, "error": str(error)})


def rotation_view(rotation: SecretRotation, shared: Services) -> RotationView:
    workflow_id = f"endpoint/{rotation.endpoint_id}/rotation"
    return RotationView.model_validate(
        rotation.model_dump()
        | {"workflow_id": workflow_id, "workflow_url": shared.run_url(workflow_id)}
    )

"""A webhook's signing secrets: rotate one, roll that back, sign by Ed25519 too; who did what."""

import logging
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import Field, JsonValue
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.service import RPCError

from api.auth import Allowed, Caller
from api.dependencies import Services, Session, Shared
from api.errors import engine_is_away
from api.fields import Body
from api.once import OnceOnly, Reply
from api.shapes import Data, Done, Timestamp, View
from api.webhooks import own_webhook
from domain.rotation import NoKeyPair
from domain.signing import accept_secret, new_key_pair, new_secret, public_key
from runtime.lifecycle import tell_rotation
from runtime.safe import public_keys, seal_key_pair, seal_secret
from storage.lifecycle_tables import SecretRotation
from storage.secrets import (
    RotationOrder,
    add_key_pair,
    open_rotation,
    remove_key_pair,
    roll_back,
    rotate,
    secret_changes_of,
    secrets_of,
)
from storage.tables import EndpointSecret
from storage.types import utc_now

OVERLAP_S_MAX = 604_800

router = APIRouter(prefix="/webhooks/{webhook_id}", tags=["webhooks"])
Reader = Annotated[Caller, Depends(Allowed("read", "webhooks.read", "webhooks.manage"))]
Writer = Annotated[Caller, Depends(Allowed("write", "webhooks.manage"))]
Deleter = Annotated[Caller, Depends(Allowed("delete", "webhooks.manage"))]

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


class SecretView(View):
    """A signing secret, but for its text."""

    id: str
    kind: Literal["v1", "v1a"]
    is_live: bool
    public_key: str | None
    created_at: Timestamp
    expires_at: Timestamp | None


class SecretChangeView(View):
    """What was done to a secret, when, and by which API key."""

    secret_id: str
    kind: str
    change: str
    details: dict[str, JsonValue]
    actor: str
    at: Timestamp


class SecretsView(View):
    """A webhook's secrets, the rotation that is under way, and what was done to them so far."""

    secrets: list[SecretView]
    rotation: RotationView | None
    changes: list[SecretChangeView]


class PublicKeyView(View):
    """What verifies the `v1a` signatures of a webhook: a key for each live pair."""

    algorithm: Literal["ed25519"] = "ed25519"
    public_keys: list[str]


@router.post("/rotate-secret", status_code=201)
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
        view = _rotation(rotation, shared).model_dump()
        return Reply(Data(data=Rotated(**view, **shown)), 201)

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
    await _tell_rotation(rotation, shared)
    return Data(data=_rotation(rotation, shared))


@router.get("/secrets")
async def list_secrets(
    webhook_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[SecretsView]:
    """List a webhook's secrets without their texts, and every change made to them."""
    endpoint = await own_webhook(session, webhook_id, caller)
    rows = await secrets_of(session, endpoint.id)
    rotation = await open_rotation(session, endpoint.id)
    changes = await secret_changes_of(session, endpoint.id)
    published, now = public_keys(shared.vault, rows), utc_now()
    secrets = [
        SecretView.model_validate(
            row.model_dump()
            | {
                "is_live": row.expires_at is None or now < row.expires_at,
                "public_key": published.get(row.id),
            }
        )
        for row in rows
    ]
    view = SecretsView(
        secrets=secrets,
        rotation=_rotation(rotation, shared) if rotation else None,
        changes=[SecretChangeView.model_validate(change.model_dump()) for change in changes],
    )
    return Data(data=view)


@router.get("/public-key")
async def get_public_key(
    webhook_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[PublicKeyView]:
    """What a receiver verifies `v1a` signatures with. 409 where there is no key pair."""
    endpoint = await own_webhook(session, webhook_id, caller)
    now = utc_now()
    live = [
        row
        for row in await secrets_of(session, endpoint.id)
        if row.expires_at is None or now < row.expires_at
    ]
    keys = public_keys(shared.vault, live)
    if not keys:
        raise NoKeyPair
    return Data(data=PublicKeyView(public_keys=list(keys.values())))


@router.post("/key-pair", status_code=201)
async def make_key_pair(
    webhook_id: str, caller: Writer, shared: Shared, once: OnceOnly
) -> Data[PublicKeyView]:
    """Sign by Ed25519 too: a receiver that has only the public key cannot sign in our name."""

    async def work(session: AsyncSession) -> Reply[Data[PublicKeyView]]:
        endpoint = await own_webhook(session, webhook_id, caller)
        pair, published = seal_key_pair(shared.vault, endpoint.id)
        await add_key_pair(session, endpoint, pair, actor=caller.key_id, now=utc_now())
        return Reply(Data(data=PublicKeyView(public_keys=[published])), 201)

    return await once.reply(Data[PublicKeyView], work)


@router.delete("/key-pair")
async def drop_key_pair(webhook_id: str, caller: Deleter, shared: Shared) -> Done:
    """Sign by Ed25519 no longer."""

    async def work(session: AsyncSession) -> None:
        endpoint = await own_webhook(session, webhook_id, caller)
        await remove_key_pair(session, endpoint, actor=caller.key_id, now=utc_now())

    await shared.database.transact(work)
    return Done(message=f"{webhook_id} is no longer signed for by Ed25519")


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
        await _tell_rotation(rotation, shared)


async def _tell_rotation(rotation: SecretRotation, shared: Services) -> None:
    """Where the engine does not answer, the worker tells it later: the row says what is so."""
    try:
        await tell_rotation(shared.temporal, rotation)
    except (RPCError, RuntimeError) as error:
        if not engine_is_away(error):
            raise
        logger.warning("rotation not told", extra={"rotation": rotation.id, "error": str(error)})


def _rotation(rotation: SecretRotation, shared: Services) -> RotationView:
    workflow_id = f"endpoint/{rotation.endpoint_id}/rotation"
    return RotationView.model_validate(
        rotation.model_dump()
        | {"workflow_id": workflow_id, "workflow_url": shared.run_url(workflow_id)}
    )

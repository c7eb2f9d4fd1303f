"""A webhook's signing secrets without their texts, its key pair, and who did what to them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import JsonValue
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Session, Shared
from api.errors import NotFound
from api.once import OnceOnly, Reply
from api.shapes import Data, Done, Timestamp, View
from api.webhook_rotations import RotationView, rotation_view
from api.webhooks import own_webhook
from runtime.safe import public_keys, seal_key_pair
from storage.secrets import (
    add_key_pair,
    open_rotation,
    remove_key_pair,
    secret_changes_of,
    secrets_of,
)
from storage.types import utc_now

router = APIRouter(prefix="/webhooks/{webhook_id}", tags=["webhooks"])
Reader = Annotated[Caller, Depends(Allowed("read", "webhooks.read", "webhooks.manage"))]
Writer = Annotated[Caller, Depends(Allowed("write", "webhooks.manage"))]
Deleter = Annotated[Caller, Depends(Allowed("delete", "webhooks.manage"))]


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
        rotation=rotation_view(rotation, shared) if rotation else None,
        changes=[SecretChangeView.model_validate(change.model_dump()) for change in changes],
    )
    return Data(data=view)


@router.get("/public-key")
async def get_public_key(
    webhook_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[PublicKeyView]:
    """What a receiver verifies `v1a` signatures with. 404 where there is no key pair."""
    endpoint = await own_webhook(session, webhook_id, caller)
    now = utc_now()
    live = [
        row
        for row in await secrets_of(session, endpoint.id)
        if row.expires_at is None or now < row.expires_at
    ]
    keys = public_keys(shared.vault, live)
    if not keys:
        raise NotFound("key pair of webhook", webhook_id)
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

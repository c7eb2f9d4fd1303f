"""API keys: make one, see which there are, rotate one with an overlap, revoke one at once."""

from datetime import datetime, timedelta
from difflib import get_close_matches
from ipaddress import ip_network
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Session, Shared
from api.errors import Forbidden, Invalid, NotFound
from api.fields import Body, Moment, Name
from api.once import OnceOnly, Reply
from api.paging import Pages
from api.shapes import Data, Page, Timestamp, View
from domain.api_keys import LIVE, SCOPES, TEST, new_key
from runtime.key_expiry import tell_of_key
from storage.access_tables import ApiKey
from storage.keys import (
    KEY_ORDER,
    NewKey,
    is_live,
    is_live_at,
    keys_of,
    make_key,
    revoke_key,
    rotate_key,
)
from storage.listing import find_own
from storage.types import utc_now

OVERLAP_S_MAX = 604_800

router = APIRouter(prefix="/api-keys", tags=["api keys"])
Reader = Annotated[Caller, Depends(Allowed("read", "keys.read", "keys.manage"))]
Manager = Annotated[Caller, Depends(Allowed("keys.manage"))]
Anyone = Annotated[Caller, Depends(Allowed(*SCOPES))]


def _known_scopes(scopes: list[str]) -> list[str]:
    for scope in scopes:
        if scope not in SCOPES:
            nearest = get_close_matches(scope, SCOPES, n=1)
            hint = f": did you mean '{nearest[0]}'?" if nearest else ""
            raise ValueError(f"unknown scope '{scope}'{hint}")
    return list(dict.fromkeys(scopes))


def _network(cidr: str) -> str:
    return str(ip_network(cidr))


Scopes = Annotated[
    list[str],
    Field(
        min_length=1,
        max_length=50,
        description="what it may do: " + ", ".join(f"`{scope}`" for scope in SCOPES),
        examples=[["read", "webhooks.manage"]],
    ),
    AfterValidator(_known_scopes),
]
Cidrs = Annotated[
    list[Annotated[str, Field(max_length=64), AfterValidator(_network)]],
    Field(max_length=100, description="networks it may be used from; empty: from anywhere"),
]
PerMinute = Annotated[int | None, Field(ge=1, le=1_000_000)]


class ApiKeyCreate(Body):
    """A key to make. It may do no more than the key that makes it."""

    name: Name
    scopes: Scopes
    mode: Literal["live", "test"] = "live"
    expires_at: Moment | None = None
    expires_in_days: Annotated[int | None, Field(ge=1, le=3_650, examples=[30, 90, 365])] = None
    allow_cidrs: Cidrs = Field(default_factory=list)
    limit_per_minute: PerMinute = None
    limit_per_hour: Annotated[int | None, Field(ge=1, le=60_000_000)] = None


class ApiKeyUpdate(Body):
    """What to change; what is left out stays as it is."""

    name: Name | None = None
    scopes: Scopes | None = None
    allow_cidrs: Cidrs | None = None


class Rotate(Body):
    """How long the old key works beside the new one."""

    overlap_s: Annotated[int, Field(ge=0, le=OVERLAP_S_MAX)] = 86_400


class ApiKeyView(View):
    """A key, but for its text. `last_used_at` is exact to a minute."""

    id: str
    tenant_id: str
    name: str
    prefix: str
    last4: str
    scopes: list[str]
    allow_cidrs: list[str]
    limit_per_minute: int | None
    limit_per_hour: int | None
    is_root: bool
    is_live: bool
    replaces: str | None
    created_by: str | None
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None


class ApiKeyCreated(ApiKeyView):
    """A key that was just made. Its text is not shown again: we keep only its digest."""

    key: str


@router.post("", status_code=201)
async def create_api_key(
    body: ApiKeyCreate, caller: Manager, once: OnceOnly, shared: Shared
) -> Data[ApiKeyCreated]:
    """Make a key. Its text is in this answer and nowhere else."""
    _check_grant(caller, body.scopes)
    terms = NewKey(
        tenant_id=caller.tenant_id,
        name=body.name,
        scopes=body.scopes,
        allow_cidrs=body.allow_cidrs,
        expires_at=_expiry(body),
        limit_per_minute=body.limit_per_minute,
        limit_per_hour=body.limit_per_hour,
        created_by=caller.key_id,
    )

    async def work(session: AsyncSession) -> Reply[Data[ApiKeyCreated]]:
        key = new_key(LIVE if body.mode == "live" else TEST)
        return _shown_once(await make_key(session, key, terms), key)

    made = await once.reply(Data[ApiKeyCreated], work)
    await tell_of_key(shared.temporal, made.data)
    return made


@router.get("")
async def list_api_keys(
    caller: Reader,
    session: Session,
    pages: Pages,
    state: Annotated[Literal["live", "ended"] | None, Query()] = None,
) -> Page[ApiKeyView]:
    """List keys, the newest first."""
    query = keys_of(caller.tenant_id)
    if state is not None:
        live = is_live_at(utc_now())
        query = query.where(live if state == "live" else ~live)
    listed = await pages.find(session, query, KEY_ORDER)
    return pages.show(listed, api_key_view)


@router.get("/current")
async def get_current_api_key(caller: Anyone, session: Session) -> Data[ApiKeyView]:
    """Get the key that this request is made with."""
    return Data(data=api_key_view(await session.get_one(ApiKey, caller.key_id)))


@router.get("/{key_id}")
async def get_api_key(key_id: str, caller: Reader, session: Session) -> Data[ApiKeyView]:
    """Get one key."""
    return Data(data=api_key_view(await _own(session, key_id, caller)))


@router.patch("/{key_id}")
async def update_api_key(
    key_id: str, body: ApiKeyUpdate, caller: Manager, shared: Shared
) -> Data[ApiKeyView]:
    """Change a key's name, what it may do and where from. It counts from the next request on."""
    _check_grant(caller, body.scopes or [])

    async def work(session: AsyncSession) -> ApiKey:
        row = await _own(session, key_id, caller)
        for name, value in body.model_dump(exclude_none=True).items():
            setattr(row, name, value)
        await session.flush()
        return row

    return Data(data=api_key_view(await shared.database.transact(work)))


@router.post("/{key_id}/rotate", status_code=201)
async def rotate_api_key(
    key_id: str, caller: Manager, once: OnceOnly, shared: Shared, body: Rotate | None = None
) -> Data[ApiKeyCreated]:
    """Make a key with the same rights; the old one ends when the overlap does."""
    overlap = timedelta(seconds=(body or Rotate()).overlap_s)

    async def work(session: AsyncSession) -> Reply[Data[ApiKeyCreated]]:
        old = await _own(session, key_id, caller)
        _check_grant(caller, old.scopes)
        key = new_key(old.prefix)
        row = await rotate_key(session, old, key, overlap=overlap, by=caller.key_id)
        return _shown_once(row, key)

    made = await once.reply(Data[ApiKeyCreated], work)
    await tell_of_key(shared.temporal, made.data, replaced=key_id)
    return made


@router.post("/{key_id}/revoke")
async def revoke_api_key(key_id: str, caller: Manager, shared: Shared) -> Data[ApiKeyView]:
    """End a key at once. The row stays, so that what it did can be told. 409 for the last one."""

    async def work(session: AsyncSession) -> ApiKey:
        row = await _own(session, key_id, caller)
        await revoke_key(session, row, now=utc_now())
        return row

    row = await shared.database.transact(work)
    await tell_of_key(shared.temporal, row)
    return Data(data=api_key_view(row))


async def _own(session: AsyncSession, key_id: str, caller: Caller) -> ApiKey:
    row = await find_own(session, ApiKey, key_id, caller.tenant_id)
    if row is None:
        raise NotFound("API key", key_id)
    return row


def _check_grant(caller: Caller, scopes: list[str]) -> None:
    """Nobody can give what they do not have."""
    if lacking := [scope for scope in scopes if not caller.may(scope)]:
        raise Forbidden(f"this API key lacks {', '.join(lacking)}, so it cannot grant it")


def _expiry(body: ApiKeyCreate) -> datetime | None:
    now = utc_now()
    if body.expires_at is not None and body.expires_in_days is not None:
        raise Invalid({"expires_at": ["give this, or expires_in_days"]})
    if body.expires_in_days is not None:
        return now + timedelta(days=body.expires_in_days)
    if body.expires_at is not None and body.expires_at <= now:
        raise Invalid({"expires_at": ["this is in the past"]})
    return body.expires_at


def _shown_once(row: ApiKey, key: str) -> Reply[Data[ApiKeyCreated]]:
    created = ApiKeyCreated(**api_key_view(row).model_dump(), key=key)
    return Reply(Data(data=created), 201, {"Location": f"/v2/api-keys/{row.id}"})


def api_key_view(row: ApiKey) -> ApiKeyView:
    return ApiKeyView.model_validate(row.model_dump() | {"is_live": is_live(row, utc_now())})

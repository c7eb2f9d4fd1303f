"""API keys, as rows: what is kept of a key is its digest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import Select, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.api_keys import digest, key_id, key_prefix
from domain.errors import Refused
from storage.access_tables import ApiKey, Tenant
from storage.key_expiry import silence
from storage.types import utc_now

KEYS: Any = ApiKey.__table__  # type: ignore[attr-defined]
TENANTS: Any = Tenant.__table__  # type: ignore[attr-defined]
KEY_ORDER = (KEYS.c.created_at, KEYS.c.id)
MANAGES = ("*", "keys.manage")


class LastKey(Refused):
    """Without it nobody could make another one."""

    code: ClassVar[str] = "last_key"

    def __init__(self) -> None:
        super().__init__("this is the last key that can manage keys: make another one first")


class KeyRevoked(Refused):
    code: ClassVar[str] = "key_revoked"

    def __init__(self, id: str) -> None:
        super().__init__(f"key {id} is revoked, or has expired", key_id=id)


@dataclass(frozen=True)
class NewKey:
    """Whose a key is, what it may do, and how often. None: what the settings say."""

    tenant_id: str
    name: str
    scopes: Sequence[str]
    allow_cidrs: Sequence[str] = ()
    expires_at: datetime | None = None
    limit_per_minute: int | None = None
    limit_per_hour: int | None = None
    created_by: str | None = None


@dataclass(frozen=True)
class KnownKey:
    """A key with what its tenant's row says of it."""

    row: ApiKey
    tenant_limit: int | None


async def find_key(session: AsyncSession, id: str) -> ApiKey | None:
    return await session.get(ApiKey, id)


async def find_known_key(session: AsyncSession, id: str) -> KnownKey | None:
    query = (
        select(ApiKey, TENANTS.c.limit_per_minute)
        .join(Tenant, TENANTS.c.id == KEYS.c.tenant_id)
        .where(KEYS.c.id == id)
    )
    found = (await session.execute(query)).one_or_none()
    return KnownKey(found[0], found[1]) if found else None


def keys_of(tenant_id: str) -> Select[ApiKey]:
    return select(ApiKey).where(KEYS.c.tenant_id == tenant_id)


async def has_root_key(session: AsyncSession, tenant_id: str) -> bool:
    query = select(KEYS.c.id).where(KEYS.c.tenant_id == tenant_id, KEYS.c.is_root).limit(1)
    return await session.scalar(query) is not None


async def add_key(
    session: AsyncSession, key: str, *, tenant_id: str, name: str, scopes: Sequence[str]
) -> ApiKey:
    """Keep the digest of `key`; who calls this shows the key once and forgets it."""
    return await make_key(session, key, NewKey(tenant_id, name, scopes))


async def make_key(session: AsyncSession, key: str, terms: NewKey) -> ApiKey:
    id = key_id(key)
    assert id is not None, "a key that is kept was checked before"
    row = ApiKey(
        id=id,
        tenant_id=terms.tenant_id,
        name=terms.name,
        prefix=key_prefix(key),
        last4=key[-4:],
        digest=digest(key),
        scopes=list(terms.scopes),
        allow_cidrs=list(terms.allow_cidrs),
        expires_at=terms.expires_at,
        limit_per_minute=terms.limit_per_minute,
        limit_per_hour=terms.limit_per_hour,
        created_by=terms.created_by,
    )
    session.add(row)
    await session.flush()
    return row


async def rotate_key(
    session: AsyncSession, old: ApiKey, key: str, *, overlap: timedelta, by: str
) -> ApiKey:
    """Make a key with the same rights, and let the old one end. Raises KeyRevoked."""
    now = utc_now()
    await session.refresh(old, with_for_update=True)
    if not is_live(old, now):
        raise KeyRevoked(old.id)
    terms = NewKey(
        tenant_id=old.tenant_id,
        name=old.name,
        scopes=old.scopes,
        allow_cidrs=old.allow_cidrs,
        expires_at=old.expires_at,
        limit_per_minute=old.limit_per_minute,
        limit_per_hour=old.limit_per_hour,
        created_by=by,
    )
    row = await make_key(session, key, terms)
    row.replaces, row.is_root = old.id, old.is_root
    old.expires_at = min(now + overlap, old.expires_at or now + overlap)
    await session.flush()
    await silence(session, old.id, now=now)
    return row


async def revoke_key(session: AsyncSession, key: ApiKey, *, now: datetime) -> None:
    """From its commit on the key opens nothing. Raises LastKey; revoking again changes nothing."""
    # All keys of the tenant: of two that revoke each other's only the first may.
    rows = (await session.scalars(keys_of(key.tenant_id).with_for_update())).all()
    others = [row for row in rows if row.id != key.id and is_live(row, now)]
    if is_live(key, now) and not any(set(row.scopes) & set(MANAGES) for row in others):
        raise LastKey
    if key.revoked_at is None:
        key.revoked_at = now
        await session.flush()


def is_live(row: ApiKey, now: datetime) -> bool:
    return row.revoked_at is None and (row.expires_at is None or now < row.expires_at)


def is_live_at(now: datetime) -> Any:
    """The same, for a query."""
    return KEYS.c.revoked_at.is_(None) & or_(KEYS.c.expires_at.is_(None), KEYS.c.expires_at > now)


async def touch_key(session: AsyncSession, id: str, *, now: datetime) -> None:
    await session.execute(update(KEYS).where(KEYS.c.id == id).values(last_used_at=now))

"""API keys, as rows: what is kept of a key is its digest."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.api_keys import digest, key_id, key_prefix
from storage.tables import ApiKey

KEYS: Any = ApiKey.__table__  # type: ignore[attr-defined]


async def find_key(session: AsyncSession, id: str) -> ApiKey | None:
    return await session.get(ApiKey, id)


async def has_root_key(session: AsyncSession, tenant_id: str) -> bool:
    query = select(KEYS.c.id).where(KEYS.c.tenant_id == tenant_id, KEYS.c.is_root).limit(1)
    return await session.scalar(query) is not None


async def add_key(
    session: AsyncSession, key: str, *, tenant_id: str, name: str, scopes: Sequence[str]
) -> ApiKey:
    """Keep the digest of `key`; who calls this shows the key once and forgets it."""
    id = key_id(key)
    assert id is not None, "a key that is kept was checked before"
    row = ApiKey(
        id=id,
        tenant_id=tenant_id,
        name=name,
        prefix=key_prefix(key),
        last4=key[-4:],
        digest=digest(key),
        scopes=list(scopes),
    )
    session.add(row)
    await session.flush()
    return row


async def touch_key(session: AsyncSession, id: str, *, now: datetime) -> None:
    await session.execute(update(KEYS).where(KEYS.c.id == id).values(last_used_at=now))

"""What was told of API keys that will end."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from domain.catalogue import SystemApiKeyExpiring
from domain.key_expiry import SILENT, WARN_DAYS, days_remaining, look
from storage.access_tables import ApiKey
from storage.outbox import publish
from storage.types import UtcDateTime, utc_now

KEYS: Any = ApiKey.__table__  # type: ignore[attr-defined]


class KeyWarning(SQLModel, table=True):
    """The last mark of a key's end that was told, in days; 0 where nothing is to be told."""

    __tablename__ = "key_warnings"

    key_id: str = Field(foreign_key="api_keys.id", primary_key=True)
    days: int
    told_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


WARNINGS: Any = KeyWarning.__table__  # type: ignore[attr-defined]


async def warn(session: AsyncSession, key_id: str, *, now: datetime) -> datetime | None:
    """Tell what is due, once, and say when to look again; None if there is nothing to come."""
    key = await session.get(ApiKey, key_id, with_for_update=True, populate_existing=True)
    if key is None or key.revoked_at is not None or key.expires_at is None:
        return None
    warning = await session.get(KeyWarning, key_id)
    seen = look(key.expires_at, warned=warning.days if warning else None, now=now)
    if seen.due is not None:
        await _note(session, key_id, seen.due, now=now)
        await publish(session, key.tenant_id, [(_told(key, now), None)], now=now)
    return seen.next_at


async def silence(session: AsyncSession, key_id: str, *, now: datetime) -> None:
    """Nobody need be warned any more: its owner has seen to it."""
    await _note(session, key_id, SILENT, now=now)


async def _note(session: AsyncSession, key_id: str, days: int, *, now: datetime) -> None:
    await session.merge(KeyWarning(key_id=key_id, days=days, told_at=now))
    await session.flush()


async def keys_to_warn_of(
    session: AsyncSession, *, due_before: datetime, now: datetime, most: int = 100
) -> Sequence[ApiKey]:
    """Keys of which something was due by then and was not told: nobody watches them."""
    untold = [
        and_(
            KEYS.c.expires_at <= due_before + timedelta(days=days),
            func.coalesce(WARNINGS.c.days, max(WARN_DAYS) + 1) > days,
        )
        for days in WARN_DAYS
    ]
    query = (
        select(ApiKey)
        .outerjoin(KeyWarning, WARNINGS.c.key_id == KEYS.c.id)
        .where(KEYS.c.revoked_at.is_(None), KEYS.c.expires_at > now, or_(*untold))
        .order_by(KEYS.c.expires_at)
        .limit(most)
    )
    return (await session.scalars(query)).all()


def _told(key: ApiKey, now: datetime) -> SystemApiKeyExpiring:
    assert key.expires_at is not None
    return SystemApiKeyExpiring(
        api_key_id=key.id,
        name=key.name,
        key_prefix=key.prefix,
        expires_at=key.expires_at,
        days_remaining=days_remaining(key.expires_at, now),
        permissions=tuple(key.scopes),
    )

"""Account holders: what is known of the people behind accounts. Personal data stays here."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from storage.account_tables import AccountHolder
from storage.types import utc_now


async def keep(
    session: AsyncSession, tenant_id: str, user_uuid: str, known: dict[str, Any]
) -> None:
    """What a provider has just said replaces what was known."""
    row = AccountHolder(tenant_id=tenant_id, user_uuid=user_uuid, verified_at=utc_now(), **known)
    await session.merge(row)
    await session.flush()


async def find_holder(
    session: AsyncSession, tenant_id: str, user_uuid: str
) -> AccountHolder | None:
    return await session.get(AccountHolder, (tenant_id, user_uuid))

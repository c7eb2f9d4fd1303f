"""The accounts table: what the bank knows of a customer's account besides its money."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.account import OpenAccountRequest
from domain.errors import AccountClosed, AccountNotFound
from storage.ledger_tables import Account
from storage.types import utc_now


async def ensure_account(
    session: AsyncSession, request: OpenAccountRequest, *, tenant_id: str
) -> None:
    """The row as the API accepted it; made here when no API did."""
    if await session.get(Account, request.id) is not None:
        return
    session.add(
        Account(
            id=request.id,
            tenant_id=tenant_id,
            user_uuid=request.user_uuid,
            name=f"{request.type} account",
            type=request.type,
            base_currency=request.base_currency,
            status="pending",
        )
    )
    await session.flush()


async def find(session: AsyncSession, tenant_id: str, account_id: str) -> Account | None:
    row = await session.get(Account, account_id)
    return row if row is not None and row.tenant_id == tenant_id else None


async def lock_account(session: AsyncSession, tenant_id: str, account_id: str) -> Account:
    """The row, locked until the commit. Raises AccountNotFound, also for another tenant's."""
    row = await session.get(Account, account_id, with_for_update=True, populate_existing=True)
    if row is None or row.tenant_id != tenant_id:
        raise AccountNotFound(account_id)
    return row


async def check_open(session: AsyncSession, account_id: str) -> None:
    """A frozen account may be paid back: it is theirs. Raises AccountClosed for a closed one."""
    row = await session.get_one(Account, account_id, with_for_update={"read": True})
    if row.status == "closed":
        raise AccountClosed(account_id)


async def change(session: AsyncSession, account_id: str, **values: Any) -> Account:
    row = await session.get_one(Account, account_id, with_for_update=True)
    for name, value in values.items():
        setattr(row, name, value)
    row.updated_at = utc_now()
    await session.flush()
    return row

"""Freezes of accounts: the flag on the account, and the row that says who placed it and why."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.account import MoneyHolders
from storage.account_tables import AccountFreeze
from storage.ledger_tables import Account, Hold, LedgerAccount
from storage.types import utc_now


async def place(session: AsyncSession, account: Account, freeze: AccountFreeze) -> None:
    account.status = "frozen"
    account.frozen_at = freeze.frozen_at
    account.frozen_reason = freeze.reason
    account.updated_at = freeze.frozen_at
    session.add(freeze)
    await session.flush()


async def lift(session: AsyncSession, account: Account, *, workflow_id: str) -> None:
    """Also where no row says who froze it: the flag was set by hand."""
    now = utc_now()
    freeze = await in_force(session, account.id)
    if freeze is not None:
        freeze.lifted_at, freeze.lifted_by = now, workflow_id
    account.status, account.frozen_at, account.frozen_reason = "active", None, None
    account.updated_at = now
    await session.flush()


async def put_back(session: AsyncSession, account: Account, freeze: AccountFreeze) -> None:
    """Let a lifted freeze be in force again, as if it had never been lifted."""
    freeze.lifted_at, freeze.lifted_by = None, None
    await place(session, account, freeze)


async def in_force(session: AsyncSession, account_id: str) -> AccountFreeze | None:
    found: AccountFreeze | None = await session.scalar(
        select(AccountFreeze).where(
            col(AccountFreeze.account_id) == account_id, col(AccountFreeze.lifted_at).is_(None)
        )
    )
    return found


async def lifted_by(session: AsyncSession, workflow_id: str) -> AccountFreeze | None:
    found: AccountFreeze | None = await session.scalar(
        select(AccountFreeze).where(col(AccountFreeze.lifted_by) == workflow_id)
    )
    return found


async def holders_of_money(session: AsyncSession, account_id: str, *, most: int) -> MoneyHolders:
    """The workflows that have money of this account set aside, whatever their business is."""
    query = (
        select(col(Hold.workflow_id))
        .join(LedgerAccount, col(LedgerAccount.id) == col(Hold.ledger_account_id))
        .where(
            col(LedgerAccount.account_id) == account_id,
            col(Hold.state) == "placed",
            col(Hold.workflow_id).is_not(None),
        )
        .distinct()
        .order_by(col(Hold.workflow_id))
        .limit(most + 1)
    )
    found = [workflow_id for workflow_id in await session.scalars(query) if workflow_id]
    return MoneyHolders(tuple(found[:most]), more=len(found) > most)

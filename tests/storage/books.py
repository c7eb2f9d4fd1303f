"""A small bank for tests: customers with money, and what the books say of them."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.ledger import (
    BalanceChange,
    HoldRequest,
    JournalEntry,
    bank_account_id,
    ledger_account_id,
    move,
)
from domain.money import Money
from runtime.database import Database
from storage import ledger
from storage.ledger_tables import Account, LedgerAccount
from tests.conftest import TENANT

CASH = bank_account_id(TENANT, "cash", "USD")


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def in_usd(owner: str) -> str:
    return ledger_account_id(owner, "USD")


async def open_account(
    database: Database,
    account_id: str,
    funds: int = 0,
    *,
    tenant_id: str = TENANT,
    status: str = "active",
) -> None:
    async def work(session: AsyncSession) -> None:
        session.add(
            Account(
                id=account_id, tenant_id=tenant_id, user_uuid="u", name=account_id, status=status
            )
        )
        await session.flush()
        await ledger.open_ledger_account(
            session, in_usd(account_id), tenant_id=tenant_id, account_id=account_id
        )
        if funds:
            cash = bank_account_id(tenant_id, "cash", "USD")
            entry = move(
                f"{account_id}/deposit",
                "deposit",
                debit=cash,
                credit=in_usd(account_id),
                money=usd(funds),
            )
            await ledger.post(session, entry, tenant_id=tenant_id)

    await database.transact(work)


def transfer_entry(entry_id: str, source: str, target: str, minor: int) -> JournalEntry:
    return move(entry_id, "transfer", debit=in_usd(source), credit=in_usd(target), money=usd(minor))


async def post(
    database: Database, entry: JournalEntry, *, hold_id: str | None = None, tenant_id: str = TENANT
) -> list[BalanceChange]:
    return await database.transact(
        lambda session: ledger.post(session, entry, tenant_id=tenant_id, hold_id=hold_id)
    )


async def transfer(
    database: Database, entry_id: str, source: str, target: str, minor: int
) -> list[BalanceChange]:
    return await post(database, transfer_entry(entry_id, source, target, minor))


async def place(
    database: Database, hold_id: str, account_id: str, minor: int, *, workflow_id: str | None = None
) -> BalanceChange | None:
    request = HoldRequest(hold_id, in_usd(account_id), usd(minor), TENANT, workflow_id)
    return await database.transact(lambda session: ledger.place_hold(session, request))


async def settle(
    database: Database, hold_id: str, source: str, target: str, minor: int
) -> list[BalanceChange]:
    entry = transfer_entry(f"{hold_id}/settle", source, target, minor)
    return await post(database, entry, hold_id=hold_id)


async def release(database: Database, hold_id: str, account_id: str) -> BalanceChange | None:
    return await database.transact(
        lambda session: ledger.release_hold(session, hold_id, in_usd(account_id), tenant_id=TENANT)
    )


async def balance(database: Database, account_id: str) -> tuple[int, int]:
    """Posted and held, in minor units."""
    async with database.read() as session:
        row = await session.get_one(LedgerAccount, in_usd(account_id))
        return row.credits_posted - row.debits_posted, row.debits_pending

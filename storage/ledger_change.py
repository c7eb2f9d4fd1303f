"""Change one ledger account's counters, if what that needs is available; or say why not.

Each change is one UPDATE that checks and counts at once, so that two at the same time can neither
overdraw the account nor lose one of them; and it makes one version of the account.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, case, insert, or_, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import AccountNotFound, InsufficientFunds
from domain.ledger import BalanceChange, is_bank_account
from storage.ledger_tables import Account, LedgerAccount
from storage.types import BigInt, utc_now

OWNERS: Any = Account.__table__  # type: ignore[attr-defined]
ACCOUNTS: Any = LedgerAccount.__table__  # type: ignore[attr-defined]

POSTED = ACCOUNTS.c.credits_posted - ACCOUNTS.c.debits_posted
AVAILABLE = case(
    (ACCOUNTS.c.normal == "credit", POSTED - ACCOUNTS.c.debits_pending),
    else_=-POSTED - ACCOUNTS.c.credits_pending,
)
# Statements are made once: building one takes longer than SQLite takes to run it.
CHANGE = (
    update(ACCOUNTS)
    .where(
        ACCOUNTS.c.id == bindparam("ledger_account"),
        ACCOUNTS.c.tenant_id == bindparam("tenant"),
        or_(
            ACCOUNTS.c.min_available.is_(None),
            bindparam("needs", type_=BigInt) <= AVAILABLE - ACCOUNTS.c.min_available,
        ),
    )
    .values(
        version=ACCOUNTS.c.version + 1,
        debits_posted=ACCOUNTS.c.debits_posted + bindparam("debited"),
        credits_posted=ACCOUNTS.c.credits_posted + bindparam("credited"),
        debits_pending=ACCOUNTS.c.debits_pending + bindparam("held"),
    )
    .returning(
        ACCOUNTS.c.account_id,
        ACCOUNTS.c.asset_code,
        POSTED.label("posted"),
        ACCOUNTS.c.debits_pending,
        ACCOUNTS.c.version,
    )
)
STATE = select(
    ACCOUNTS.c.tenant_id,
    ACCOUNTS.c.account_id,
    (AVAILABLE - ACCOUNTS.c.min_available).label("available"),
).where(ACCOUNTS.c.id == bindparam("ledger_account"))
OWNER = select(OWNERS.c.tenant_id).where(OWNERS.c.id == bindparam("account"))
ADD = insert(ACCOUNTS)
ADD_UNLESS_THERE = postgresql.insert(ACCOUNTS).on_conflict_do_nothing()


@dataclass(frozen=True)
class Shift:
    """What is added to an account's counters, and what must be available for it."""

    debited: int = 0
    credited: int = 0
    held: int = 0
    needs: int = 0


async def change(
    session: AsyncSession, tenant_id: str, ledger_account_id: str, shift: Shift
) -> BalanceChange:
    """Raises InsufficientFunds; AccountNotFound if there is none, or it is another tenant's."""
    found = await _try(session, tenant_id, ledger_account_id, shift)
    if found is not None:
        return found
    if await open_if_missing(session, tenant_id, ledger_account_id):
        found = await _try(session, tenant_id, ledger_account_id, shift)
    if found is None:
        raise await _too_little(session, ledger_account_id, shift.needs)
    return found


async def _try(
    session: AsyncSession, tenant_id: str, ledger_account_id: str, shift: Shift
) -> BalanceChange | None:
    values = {
        "ledger_account": ledger_account_id,
        "tenant": tenant_id,
        "needs": shift.needs,
        "debited": shift.debited,
        "credited": shift.credited,
        "held": shift.held,
    }
    row = (await session.execute(CHANGE, values)).one_or_none()
    if row is None:
        return None
    return BalanceChange(
        ledger_account_id=ledger_account_id,
        account_id=row.account_id,
        asset_code=row.asset_code,
        previous_minor=row.posted - shift.credited + shift.debited,
        posted_minor=row.posted,
        reserved_minor=row.debits_pending,
        version=row.version,
    )


async def _too_little(
    session: AsyncSession, ledger_account_id: str, needs: int
) -> InsufficientFunds:
    row = (await session.execute(STATE, {"ledger_account": ledger_account_id})).one()
    owner, _, asset_code = ledger_account_id.rpartition("/")
    return InsufficientFunds(
        owner, asset_code=asset_code, available_minor=row.available, required_minor=needs
    )


async def open_if_missing(session: AsyncSession, tenant_id: str, ledger_account_id: str) -> bool:
    """True if it was missing. A customer's account may hold any asset; the bank's need no opening.

    Raises AccountNotFound if there is no such customer account, or it is another tenant's.
    """
    owner = ledger_account_id.rpartition("/")[0]
    account_id = None if is_bank_account(owner) else owner
    return await open_ledger_account(
        session, ledger_account_id, tenant_id=tenant_id, account_id=account_id
    )


async def open_ledger_account(
    session: AsyncSession,
    ledger_account_id: str,
    *,
    tenant_id: str,
    account_id: str | None = None,
    min_available: int | None = 0,
) -> bool:
    """Make the row if it is missing. `account_id` None is one of the bank's own accounts."""
    found = (await session.execute(STATE, {"ledger_account": ledger_account_id})).one_or_none()
    if found is not None:
        if (found.tenant_id, found.account_id) != (tenant_id, account_id):
            raise AccountNotFound(ledger_account_id.rpartition("/")[0])
        return False
    if account_id is None:
        assert ledger_account_id.startswith(f"{tenant_id}:"), f"{ledger_account_id}: whose is it?"
    elif await session.scalar(OWNER, {"account": account_id}) != tenant_id:
        raise AccountNotFound(account_id)
    row = {
        "id": ledger_account_id,
        "tenant_id": tenant_id,
        "account_id": account_id,
        "asset_code": ledger_account_id.rpartition("/")[2],
        "normal": "credit",
        "min_available": min_available if account_id else None,
        "version": 0,
        "debits_posted": 0,
        "credits_posted": 0,
        "debits_pending": 0,
        "credits_pending": 0,
        "created_at": utc_now(),
    }
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    await session.execute(ADD if is_sqlite else ADD_UNLESS_THERE, row)
    return True

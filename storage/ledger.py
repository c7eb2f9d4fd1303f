"""Post journal entries, place and resolve holds. The caller's transaction commits, or nobody does.

Path of an event, 1 of 6. A step's effect, its events and their deliveries are one transaction:
the effect is here, the events are added by storage/outbox.py, and activities/steps.py commits.
Next: worker/relay.py.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, case, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.errors import (
    AccountClosed,
    AccountFrozen,
    AccountNotFound,
    DuplicateRequest,
    InsufficientFunds,
    StepFenced,
)
from domain.ledger import BalanceChange, Direction, JournalEntry, Posting, is_bank_account
from domain.money import Money
from storage.ledger_tables import Account, Hold, JournalEntryRow, LedgerAccount, PostingRow
from storage.types import utc_now

ACCOUNTS: Any = LedgerAccount.__table__  # type: ignore[attr-defined]
HOLDS: Any = Hold.__table__  # type: ignore[attr-defined]
ENTRIES: Any = JournalEntryRow.__table__  # type: ignore[attr-defined]
POSTINGS: Any = PostingRow.__table__  # type: ignore[attr-defined]

POSTED = ACCOUNTS.c.credits_posted - ACCOUNTS.c.debits_posted
AVAILABLE = case(
    (ACCOUNTS.c.normal == "credit", POSTED - ACCOUNTS.c.debits_pending),
    else_=-POSTED - ACCOUNTS.c.credits_pending,
)


async def check_accounts(
    session: AsyncSession, tenant_id: str, account_ids: Sequence[str]
) -> list[Account]:
    """Lock the customer accounts' status until the commit, and refuse what may not move money.

    Raises AccountNotFound (also for another tenant's), AccountFrozen or AccountClosed.
    """
    found = {account.id: account for account in await session.scalars(_shared(account_ids))}
    for account_id in account_ids:
        account = found.get(account_id)
        if account is None or account.tenant_id != tenant_id:
            raise AccountNotFound(account_id)
        if account.status == "frozen":
            raise AccountFrozen(account_id)
        if account.status != "active":  # Closed, or not yet open.
            raise AccountClosed(account_id)
    return [found[account_id] for account_id in account_ids]


def _shared(account_ids: Sequence[str]) -> Select[Account]:
    wanted = select(Account).where(col(Account.id).in_(account_ids))
    return wanted.order_by(Account.id).with_for_update(read=True)


async def open_ledger_account(
    session: AsyncSession,
    ledger_account_id: str,
    *,
    tenant_id: str,
    account_id: str | None = None,
    min_available: int | None = 0,
) -> None:
    """Make the row if it is missing. `account_id` None is one of the bank's own accounts."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
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
    await session.execute(dialect.insert(ACCOUNTS).values(row).on_conflict_do_nothing())


async def post(
    session: AsyncSession,
    entry: JournalEntry,
    *,
    tenant_id: str,
    workflow_id: str | None = None,
    hold_id: str | None = None,
) -> list[BalanceChange]:
    """Write and seal one entry. Posting the same entry id again changes nothing and returns [].

    `hold_id` names the hold on the debited account that this entry settles. Ledger accounts are
    changed in the order of their ids, so that two entries can never wait for each other.
    Raises InsufficientFunds, AccountNotFound, or DuplicateRequest for the same id with other legs.
    """
    if await _already_posted(session, entry):
        return []
    now = utc_now()
    await session.execute(
        insert(ENTRIES).values(
            id=entry.id,
            tenant_id=tenant_id,
            kind=entry.kind,
            fingerprint=entry.fingerprint,
            hold_id=hold_id,
            workflow_id=workflow_id,
            effective_at=now,
            recorded_at=now,
            sealed=0,
        )
    )
    hold = await _placed(session, hold_id) if hold_id else None
    changes: list[BalanceChange] = []
    rows: list[dict[str, Any]] = []
    ordered = sorted(enumerate(entry.postings), key=lambda leg: leg[1].ledger_account_id)
    for line, posting in ordered:
        settles = hold if hold and _is_debit_of(hold, posting) else None
        change = await _apply(session, posting, settles, tenant_id=tenant_id)
        changes.append(change)
        rows.append(_posting_row(entry.id, line, posting, change))
        if settles:
            await _resolve(session, settles.id, "settled", change.version)
            hold = None
    assert hold is None, f"{entry.id} does not debit the account of hold {hold_id}"
    await session.execute(insert(POSTINGS), rows)
    await session.execute(update(ENTRIES).where(ENTRIES.c.id == entry.id).values(sealed=1))
    return changes


def _is_debit_of(hold: Row[Any], posting: Posting) -> bool:
    same = posting.ledger_account_id == hold.ledger_account_id
    return same and posting.direction is Direction.DEBIT


async def _already_posted(session: AsyncSession, entry: JournalEntry) -> bool:
    query = select(ENTRIES.c.fingerprint).where(ENTRIES.c.id == entry.id)
    fingerprint = await session.scalar(query)
    if fingerprint not in (None, entry.fingerprint):
        raise DuplicateRequest(f"journal entry {entry.id} exists with other postings")
    return fingerprint is not None


def _posting_row(
    entry_id: str, line: int, posting: Posting, change: BalanceChange
) -> dict[str, Any]:
    return {
        "entry_id": entry_id,
        "line": line,
        "ledger_account_id": posting.ledger_account_id,
        "direction": int(posting.direction),
        "amount_minor": posting.money.amount_minor,
        "account_version": change.version,
        "balance_after": change.posted_minor,
    }


async def _apply(
    session: AsyncSession, posting: Posting, hold: Row[Any] | None, *, tenant_id: str
) -> BalanceChange:
    amount = posting.money.amount_minor
    debit = posting.direction is Direction.DEBIT
    column = "debits_posted" if debit else "credits_posted"
    values = {column: ACCOUNTS.c[column] + amount}
    needs = amount if debit else 0
    if hold is not None:
        assert amount <= hold.amount_minor, f"hold {hold.id} is settled with more than it holds"
        values["debits_pending"] = ACCOUNTS.c.debits_pending - hold.amount_minor
        needs = 0
    moved = -amount if debit else amount
    change = await _change(session, posting.ledger_account_id, values, needs=needs, moved=moved)
    if change is None and await _open_if_missing(session, posting, tenant_id):
        change = await _change(session, posting.ledger_account_id, values, needs=needs, moved=moved)
    if change is None:
        raise await _why_not(session, posting.ledger_account_id, amount)
    return change


async def _open_if_missing(session: AsyncSession, posting: Posting, tenant_id: str) -> bool:
    query = select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == posting.ledger_account_id)
    if await session.scalar(query) is not None:
        return False
    owner = posting.ledger_account_id.rpartition("/")[0]
    account_id = None if is_bank_account(owner) else owner
    await open_ledger_account(
        session, posting.ledger_account_id, tenant_id=tenant_id, account_id=account_id
    )
    return True


async def _change(
    session: AsyncSession, ledger_account_id: str, values: dict[str, Any], *, needs: int, moved: int
) -> BalanceChange | None:
    """Change one row if `needs` is available; None says there is no row, or not the money."""
    statement = update(ACCOUNTS).where(ACCOUNTS.c.id == ledger_account_id)
    if needs:
        unlimited = ACCOUNTS.c.min_available.is_(None)
        statement = statement.where(or_(unlimited, needs <= AVAILABLE - ACCOUNTS.c.min_available))
    statement = statement.values(version=ACCOUNTS.c.version + 1, **values).returning(
        ACCOUNTS.c.account_id,
        ACCOUNTS.c.asset_code,
        POSTED.label("posted"),
        ACCOUNTS.c.debits_pending,
        ACCOUNTS.c.version,
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    return BalanceChange(
        ledger_account_id=ledger_account_id,
        account_id=row.account_id,
        asset_code=row.asset_code,
        previous_minor=row.posted - moved,
        posted_minor=row.posted,
        reserved_minor=row.debits_pending,
        version=row.version,
    )


async def _why_not(session: AsyncSession, ledger_account_id: str, amount: int) -> Exception:
    query = select(AVAILABLE - ACCOUNTS.c.min_available).where(ACCOUNTS.c.id == ledger_account_id)
    owner, _, asset_code = ledger_account_id.rpartition("/")
    available = await session.scalar(query)
    return InsufficientFunds(
        owner, asset_code=asset_code, available_minor=available or 0, required_minor=amount
    )


async def place_hold(
    session: AsyncSession,
    hold_id: str,
    ledger_account_id: str,
    money: Money,
    *,
    tenant_id: str,
    workflow_id: str | None = None,
) -> BalanceChange | None:
    """Set money aside. Placing the same id again changes nothing and returns None.

    Raises InsufficientFunds, StepFenced if it was released before it came, DuplicateRequest.
    """
    known = await session.get(Hold, hold_id)
    if known is not None:
        _check_same(known, ledger_account_id, money)
        return None
    amount = money.amount_minor
    change = await _change(
        session,
        ledger_account_id,
        {"debits_pending": ACCOUNTS.c.debits_pending + amount},
        needs=amount,
        moved=0,
    )
    if change is None:
        raise await _why_not(session, ledger_account_id, amount)
    await session.execute(
        insert(HOLDS).values(
            id=hold_id,
            tenant_id=tenant_id,
            ledger_account_id=ledger_account_id,
            amount_minor=amount,
            state="placed",
            workflow_id=workflow_id,
            placed_version=change.version,
            placed_at=utc_now(),
        )
    )
    return change


def _check_same(known: Hold, ledger_account_id: str, money: Money) -> None:
    if known.state == "released" and known.placed_version is None:
        raise StepFenced(known.workflow_id or known.id, known.id)
    if (known.ledger_account_id, known.amount_minor) != (ledger_account_id, money.amount_minor):
        raise DuplicateRequest(f"hold {known.id} exists with another amount or account")


async def release_hold(
    session: AsyncSession,
    hold_id: str,
    ledger_account_id: str,
    *,
    tenant_id: str,
    workflow_id: str | None = None,
) -> BalanceChange | None:
    """Give the money back. None if there was nothing to give; then a tombstone is left.

    Raises DuplicateRequest if the hold was settled: what was spent cannot be released.
    """
    known = await session.get(Hold, hold_id, with_for_update=True)
    if known is None:
        await session.execute(
            insert(HOLDS).values(
                id=hold_id,
                tenant_id=tenant_id,
                ledger_account_id=ledger_account_id,
                amount_minor=0,
                state="released",
                workflow_id=workflow_id,
                placed_at=utc_now(),
                resolved_at=utc_now(),
            )
        )
        return None
    if known.state == "settled":
        raise DuplicateRequest(f"hold {hold_id} is already settled")
    if known.state == "released":
        return None
    change = await _change(
        session,
        known.ledger_account_id,
        {"debits_pending": ACCOUNTS.c.debits_pending - known.amount_minor},
        needs=0,
        moved=0,
    )
    assert change is not None, f"hold {hold_id} is on a ledger account that does not exist"
    await _resolve(session, hold_id, "released", change.version)
    return change


async def _placed(session: AsyncSession, hold_id: str) -> Row[Any]:
    columns = (HOLDS.c.id, HOLDS.c.ledger_account_id, HOLDS.c.amount_minor, HOLDS.c.state)
    hold = (await session.execute(select(*columns).where(HOLDS.c.id == hold_id))).one_or_none()
    if hold is None or hold.state != "placed":
        raise DuplicateRequest(f"hold {hold_id} is not placed: {hold.state if hold else 'absent'}")
    return hold


async def _resolve(session: AsyncSession, hold_id: str, state: str, version: int) -> None:
    """Mark the hold; the trigger on its row refuses a second time."""
    await session.execute(
        update(HOLDS)
        .where(HOLDS.c.id == hold_id)
        .values(state=state, resolved_version=version, resolved_at=utc_now())
    )

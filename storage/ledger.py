"""Post journal entries, place and resolve holds. The caller's transaction commits, or nobody does.

Path of an event, 1 of 6. A step's effect, its events and their deliveries are one transaction:
the effect is here, the events are added by storage/outbox.py, and activities/steps.py commits.
Next: worker/relay.py.

Locks are always taken in one order, so that two units never wait for each other: customer
accounts, then holds, then ledger accounts by id.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.errors import (
    AccountClosed,
    AccountFrozen,
    AccountNotActive,
    AccountNotFound,
    DuplicateRequest,
    StepFenced,
)
from domain.ledger import BalanceChange, Direction, HoldRequest, JournalEntry, Posting
from storage.ledger_change import ACCOUNTS, Shift, change, open_if_missing, open_ledger_account
from storage.ledger_tables import Account, Hold, JournalEntryRow, PostingRow
from storage.types import utc_now

__all__ = [
    "ACCOUNTS",
    "check_accounts",
    "open_ledger_account",
    "place_hold",
    "post",
    "release_hold",
]

NOT_USABLE = {"frozen": AccountFrozen, "closed": AccountClosed, "pending": AccountNotActive}

HOLDS: Any = Hold.__table__  # type: ignore[attr-defined]
ENTRIES: Any = JournalEntryRow.__table__  # type: ignore[attr-defined]
POSTINGS: Any = PostingRow.__table__  # type: ignore[attr-defined]

# Statements are made once: building one takes longer than SQLite takes to run it.
SHARED_ACCOUNTS = (
    select(Account)
    .where(col(Account.id).in_(bindparam("accounts", expanding=True)))
    .order_by(Account.id)
    .with_for_update(read=True)
    # What this session read before it had the lock may be old.
    .execution_options(populate_existing=True)
)
FINGERPRINT = select(ENTRIES.c.fingerprint).where(ENTRIES.c.id == bindparam("entry"))
ADD_ENTRY = insert(ENTRIES)
ADD_POSTINGS = insert(POSTINGS)
SEAL = update(ENTRIES).where(ENTRIES.c.id == bindparam("entry")).values(sealed=1)


class KnownHold(NamedTuple):
    id: str
    tenant_id: str
    ledger_account_id: str
    amount_minor: int
    state: str
    placed_version: int | None
    workflow_id: str | None


FIND_HOLD: Select[Any] = (
    select(*(HOLDS.c[name] for name in KnownHold._fields))
    .where(HOLDS.c.id == bindparam("hold"))
    .with_for_update()
)
ADD_HOLD = insert(HOLDS)
RESOLVE_HOLD = (
    update(HOLDS)
    .where(HOLDS.c.id == bindparam("hold"))
    .values(
        state=bindparam("resolution"),
        resolved_version=bindparam("resolving_version"),
        resolved_at=bindparam("now"),
    )
)


async def check_accounts(
    session: AsyncSession, tenant_id: str, account_ids: Sequence[str]
) -> list[Account]:
    """Lock the customer accounts' status until the commit, and refuse what may not move money.

    Raises AccountNotFound (also for another tenant's), AccountFrozen, AccountClosed or
    AccountNotActive.
    """
    rows = await session.scalars(SHARED_ACCOUNTS, {"accounts": list(account_ids)})
    found = {account.id: account for account in rows}
    for account_id in account_ids:
        account = found.get(account_id)
        if account is None or account.tenant_id != tenant_id:
            raise AccountNotFound(account_id)
        if account.status != "active":
            raise NOT_USABLE[account.status](account_id)
    return [found[account_id] for account_id in account_ids]


async def post(
    session: AsyncSession,
    entry: JournalEntry,
    *,
    tenant_id: str,
    workflow_id: str | None = None,
    hold_id: str | None = None,
) -> list[BalanceChange]:
    """Write and seal one entry. Posting the same entry id again changes nothing and returns [].

    `hold_id` names the hold on the debited account that this entry settles; what it holds more is
    given back. Raises InsufficientFunds, AccountNotFound, or DuplicateRequest: for the same id
    with other legs, and for a hold that is not placed (any more).
    """
    hold = await _find_hold(session, hold_id) if hold_id else None
    # Had this entry settled the hold that is still placed, it would not be placed.
    if hold is None or hold.state != "placed":
        if await _already_posted(session, entry):
            return []
        if hold_id:
            state = hold.state if hold else "absent"
            raise DuplicateRequest(f"hold {hold_id} is not placed: {state}")
    await _add_entry(session, entry, tenant_id, workflow_id, hold_id)
    changes: list[BalanceChange] = []
    rows: list[dict[str, Any]] = []
    ordered = sorted(enumerate(entry.postings), key=lambda leg: leg[1].ledger_account_id)
    for line, posting in ordered:
        settles = hold if hold and _is_debit_of(hold, posting) else None
        shift = _shift(posting, settles)
        made = await change(session, tenant_id, posting.ledger_account_id, shift)
        changes.append(made)
        rows.append(_posting_row(entry.id, line, posting, made))
        if settles:
            await _resolve(session, settles.id, "settled", made.version)
            hold = None
    assert hold is None, f"{entry.id} does not debit the account of hold {hold_id}"
    await session.execute(ADD_POSTINGS, rows)
    await session.execute(SEAL, {"entry": entry.id})
    return changes


async def _already_posted(session: AsyncSession, entry: JournalEntry) -> bool:
    fingerprint = await session.scalar(FINGERPRINT, {"entry": entry.id})
    if fingerprint not in (None, entry.fingerprint):
        raise DuplicateRequest(f"journal entry {entry.id} exists with other postings")
    return fingerprint is not None


async def _add_entry(
    session: AsyncSession,
    entry: JournalEntry,
    tenant_id: str,
    workflow_id: str | None,
    hold_id: str | None,
) -> None:
    now = utc_now()
    row = {
        "id": entry.id,
        "tenant_id": tenant_id,
        "kind": entry.kind,
        "fingerprint": entry.fingerprint,
        "hold_id": hold_id,
        "workflow_id": workflow_id,
        "effective_at": now,
        "recorded_at": now,
        "sealed": 0,
    }
    await session.execute(ADD_ENTRY, row)


def _is_debit_of(hold: KnownHold, posting: Posting) -> bool:
    same = posting.ledger_account_id == hold.ledger_account_id
    return same and posting.direction is Direction.DEBIT


def _shift(posting: Posting, hold: KnownHold | None) -> Shift:
    amount = posting.money.amount_minor
    if posting.direction is Direction.CREDIT:
        return Shift(credited=amount)
    if hold is None:
        return Shift(debited=amount, needs=amount)
    assert amount <= hold.amount_minor, f"hold {hold.id} is settled with more than it holds"
    return Shift(debited=amount, held=-hold.amount_minor)


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


async def place_hold(session: AsyncSession, request: HoldRequest) -> BalanceChange | None:
    """Set money aside. Placing the same id again changes nothing and returns None.

    Raises InsufficientFunds, AccountNotFound; StepFenced if it was released, before it came or
    after; DuplicateRequest for the same id with another amount or account.
    """
    known = await _find_hold(session, request.id)
    if known is not None:
        _check_same(known, request)
        return None
    amount = request.money.amount_minor
    made = await change(
        session, request.tenant_id, request.ledger_account_id, Shift(held=amount, needs=amount)
    )
    await session.execute(ADD_HOLD, _hold_row(request, made.version))
    return made


def _hold_row(request: HoldRequest, version: int) -> dict[str, Any]:
    return {
        "id": request.id,
        "tenant_id": request.tenant_id,
        "ledger_account_id": request.ledger_account_id,
        "amount_minor": request.money.amount_minor,
        "state": "placed",
        "workflow_id": request.workflow_id,
        "placed_version": version,
        "placed_at": utc_now(),
    }


def _check_same(known: KnownHold, request: HoldRequest) -> None:
    never_placed = known.placed_version is None
    same = (known.ledger_account_id, known.amount_minor, known.tenant_id) == (
        request.ledger_account_id,
        request.money.amount_minor,
        request.tenant_id,
    )
    if not same and not never_placed:
        raise DuplicateRequest(f"hold {known.id} exists with another amount or account")
    if known.state == "released":
        raise StepFenced(known.workflow_id or known.id, known.id)


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
    known = await _find_hold(session, hold_id)
    if known is None:
        try:
            await open_if_missing(session, tenant_id, ledger_account_id)
        except AccountNotFound:
            return None  # Nor can it be placed later.
        tombstone = _tombstone(hold_id, ledger_account_id, tenant_id, workflow_id)
        await session.execute(ADD_HOLD, tombstone)
        return None
    if (known.ledger_account_id, known.tenant_id) != (ledger_account_id, tenant_id):
        raise DuplicateRequest(f"hold {hold_id} exists on another account")
    if known.state == "settled":
        raise DuplicateRequest(f"hold {hold_id} is already settled")
    if known.state == "released":
        return None
    made = await change(session, tenant_id, ledger_account_id, Shift(held=-known.amount_minor))
    await _resolve(session, hold_id, "released", made.version)
    return made


def _tombstone(
    hold_id: str, ledger_account_id: str, tenant_id: str, workflow_id: str | None
) -> dict[str, Any]:
    now = utc_now()
    return {
        "id": hold_id,
        "tenant_id": tenant_id,
        "ledger_account_id": ledger_account_id,
        "amount_minor": 0,
        "state": "released",
        "workflow_id": workflow_id,
        "placed_at": now,
        "resolved_at": now,
    }


async def _find_hold(session: AsyncSession, hold_id: str) -> KnownHold | None:
    """The hold, locked: of a settlement and a release at once the second sees the first."""
    row = (await session.execute(FIND_HOLD, {"hold": hold_id})).one_or_none()
    return KnownHold(*row) if row is not None else None


async def _resolve(session: AsyncSession, hold_id: str, resolution: str, version: int) -> None:
    """Mark the hold; the trigger on its row refuses a second time."""
    values = {
        "hold": hold_id,
        "resolution": resolution,
        "resolving_version": version,
        "now": utc_now(),
    }
    await session.execute(RESOLVE_HOLD, values)

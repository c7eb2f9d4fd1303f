"""The books: what a journal entry is, and what changing one ledger account did to it."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum

from domain.money import Money


class Direction(IntEnum):
    DEBIT = 1
    CREDIT = -1


@dataclass(frozen=True)
class Posting:
    """One leg of a journal entry. The amount is positive; the direction says which way."""

    ledger_account_id: str
    direction: Direction
    money: Money

    def __post_init__(self) -> None:
        _assert_fits(self.money, self.ledger_account_id)


@dataclass(frozen=True)
class JournalEntry:
    """A set of postings that sums to zero in every asset, or it cannot exist."""

    id: str
    kind: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        totals: Counter[str] = Counter()
        for posting in self.postings:
            totals[posting.money.asset_code] += posting.direction * posting.money.amount_minor
        assert len(self.postings) >= 2, f"{self.id}: a journal entry has at least two postings"
        assert not any(totals.values()), f"{self.id}: postings do not balance: {dict(totals)}"

    @property
    def fingerprint(self) -> str:
        """Tells the same entry sent twice from another one under the same id."""
        legs = [(p.ledger_account_id, p.direction, p.money.amount_minor) for p in self.postings]
        return hashlib.sha256(json.dumps([self.kind, *legs]).encode()).hexdigest()


@dataclass(frozen=True)
class HoldRequest:
    """Money to set aside on one ledger account. The id is made by the caller: twice is once."""

    id: str
    ledger_account_id: str
    money: Money
    tenant_id: str
    workflow_id: str | None = None

    def __post_init__(self) -> None:
        _assert_fits(self.money, self.ledger_account_id)


@dataclass(frozen=True)
class BalanceChange:
    """What one posting or hold did to one ledger account. All amounts in minor units."""

    ledger_account_id: str
    account_id: str | None
    asset_code: str
    previous_minor: int
    posted_minor: int
    reserved_minor: int
    version: int

    @property
    def available_minor(self) -> int:
        return self.posted_minor - self.reserved_minor

    @property
    def change_minor(self) -> int:
        return self.posted_minor - self.previous_minor


def move(entry_id: str, kind: str, *, debit: str, credit: str, money: Money) -> JournalEntry:
    """The commonest entry: `money` out of one ledger account and into another."""
    return JournalEntry(
        entry_id,
        kind,
        (Posting(debit, Direction.DEBIT, money), Posting(credit, Direction.CREDIT, money)),
    )


def ledger_account_id(owner: str, asset_code: str) -> str:
    """`owner` is a customer account's id, or `{tenant}:{purpose}` for the bank's own accounts."""
    return f"{owner}/{asset_code}"


def bank_account_id(tenant_id: str, purpose: str, asset_code: str) -> str:
    """The bank's own side: cash, fees, fx, rail:{name}. Made when first used; has no limit."""
    return ledger_account_id(f"{tenant_id}:{purpose}", asset_code)


def is_bank_account(owner: str) -> bool:
    return ":" in owner


def _assert_fits(money: Money, ledger_account_id: str) -> None:
    asset_code = ledger_account_id.rpartition("/")[2]
    assert money.amount_minor > 0, f"{money} in {ledger_account_id}: the direction is the sign"
    assert asset_code == money.asset_code, f"{money} in {ledger_account_id}: another asset"

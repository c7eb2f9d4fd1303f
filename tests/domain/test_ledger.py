from dataclasses import replace

import pytest

from domain.ledger import (
    BalanceChange,
    Direction,
    HoldRequest,
    JournalEntry,
    Posting,
    bank_account_id,
    is_bank_account,
    ledger_account_id,
    move,
)
from domain.money import Money

FIVE = Money(500, "USD")
ENTRY = move("e1", "transfer", debit="a/USD", credit="b/USD", money=FIVE)


def test_a_move_debits_one_and_credits_the_other() -> None:
    assert ENTRY.postings == (
        Posting("a/USD", Direction.DEBIT, FIVE),
        Posting("b/USD", Direction.CREDIT, FIVE),
    )


@pytest.mark.parametrize(
    "legs",
    [
        (Posting("a/USD", Direction.DEBIT, FIVE), Posting("b/USD", Direction.DEBIT, FIVE)),
        (
            Posting("a/USD", Direction.DEBIT, FIVE),
            Posting("b/USD", Direction.CREDIT, Money(499, "USD")),
        ),
        (
            Posting("a/USD", Direction.DEBIT, FIVE),
            Posting("b/EUR", Direction.CREDIT, Money(500, "EUR")),
        ),
    ],
)
def test_an_entry_that_does_not_balance_in_every_asset_cannot_exist(
    legs: tuple[Posting, ...],
) -> None:
    with pytest.raises(AssertionError, match="do not balance"):
        JournalEntry("e1", "transfer", legs)


def test_an_entry_has_at_least_two_legs() -> None:
    with pytest.raises(AssertionError, match="at least two"):
        JournalEntry("e1", "transfer", ())


def test_an_exchange_balances_in_each_of_its_assets() -> None:
    euros = Money(463, "EUR")

    JournalEntry(
        "e1",
        "conversion",
        (
            Posting("a/USD", Direction.DEBIT, FIVE),
            Posting("t:fx/USD", Direction.CREDIT, FIVE),
            Posting("t:fx/EUR", Direction.DEBIT, euros),
            Posting("a/EUR", Direction.CREDIT, euros),
        ),
    )


@pytest.mark.parametrize("minor", [0, -1])
def test_a_direction_is_never_a_sign(minor: int) -> None:
    with pytest.raises(AssertionError):
        Posting("a/USD", Direction.DEBIT, Money(minor, "USD"))
    with pytest.raises(AssertionError):
        HoldRequest("h1", "a/USD", Money(minor, "USD"), "ten")


def test_money_goes_only_where_its_asset_is_kept() -> None:
    with pytest.raises(AssertionError, match="another asset"):
        Posting("a/EUR", Direction.DEBIT, FIVE)
    with pytest.raises(AssertionError, match="another asset"):
        HoldRequest("h1", "a/EUR", FIVE, "ten")


@pytest.mark.parametrize(
    "other",
    [
        replace(ENTRY, kind="fee"),
        move("e1", "transfer", debit="b/USD", credit="a/USD", money=FIVE),
        move("e1", "transfer", debit="a/USD", credit="b/USD", money=Money(501, "USD")),
        move("e1", "transfer", debit="a/USD", credit="c/USD", money=FIVE),
        # Names that would run together if they were only written one after the other.
        move("e1", 'transfer","a', debit="a/USD", credit="b/USD", money=FIVE),
        move("e1", "transfer", debit='a", 1, 500], ["x/USD', credit="b/USD", money=FIVE),
    ],
)
def test_a_fingerprint_tells_entries_apart(other: JournalEntry) -> None:
    assert other.fingerprint != ENTRY.fingerprint


def test_a_fingerprint_is_of_what_is_posted_not_of_the_id() -> None:
    assert replace(ENTRY, id="e2").fingerprint == ENTRY.fingerprint


def test_a_change_says_what_it_did() -> None:
    change = BalanceChange("a/USD", "a", "USD", 1_000, 700, 100, 3)

    assert change.change_minor == -300
    assert change.available_minor == 600


def test_the_banks_own_accounts_are_told_by_a_colon() -> None:
    cash = bank_account_id("ten", "cash", "USD")

    assert cash == "ten:cash/USD"
    assert is_bank_account(cash.rpartition("/")[0])
    assert not is_bank_account(ledger_account_id("acc-1", "USD").rpartition("/")[0])

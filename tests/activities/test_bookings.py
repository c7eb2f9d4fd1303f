"""Holding, settling and moving money: once, in any order, and refused when it comes too late."""

from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from activities.bookings import SqlLedgerActivities
from activities.steps import Steps
from domain.bookings import MoneyHold, MoneyMove, Settlement
from domain.errors import AccountFrozen, InsufficientFunds, SameAccount, StepFenced
from domain.money import Money
from domain.saga import Failure, StepCall, UndoStatus
from runtime.database import Database
from storage import accounts
from tests.activities.acts import call, story
from tests.storage.books import balance, open_account

HOLD = MoneyHold("w/hold", "a", Money(400, "USD"))
MOVE = MoneyMove("a", "b", Money(400, "USD"))


@pytest_asyncio.fixture
async def bank(database: Database) -> Database:
    await open_account(database, "a", 1_000)
    await open_account(database, "b")
    return database


@pytest.fixture
def books(bank: Database) -> SqlLedgerActivities:
    return SqlLedgerActivities(Steps(bank))


async def test_what_is_held_is_settled_once(books: SqlLedgerActivities, bank: Database) -> None:
    for _ in range(2):
        await books.place_hold(asked("hold", HOLD))
    assert await balance(bank, "a") == (1_000, 400)

    for _ in range(2):
        await books.settle_hold(asked("settle", Settlement(HOLD, "b")))

    assert await balance(bank, "a") == (600, 0)
    assert await balance(bank, "b") == (400, 0)


async def test_a_released_hold_gives_its_money_back_once(
    books: SqlLedgerActivities, bank: Database
) -> None:
    await books.place_hold(asked("hold", HOLD))

    undone = [await books.release_hold(undoing("hold", HOLD)) for _ in range(2)]

    assert [one.amount_minor for one in undone] == [400, 400]
    assert await balance(bank, "a") == (1_000, 0)
    assert (await story(bank, "w")).count("account.balance_updated") == 2


async def test_a_hold_that_comes_after_its_release_is_refused(
    books: SqlLedgerActivities, bank: Database
) -> None:
    undone = await books.release_hold(undoing("hold", HOLD))

    with pytest.raises(StepFenced):
        await books.place_hold(asked("hold", HOLD))

    assert undone.status is UndoStatus.NOOP
    assert await balance(bank, "a") == (1_000, 0)


async def test_money_moves_and_moves_back(books: SqlLedgerActivities, bank: Database) -> None:
    for _ in range(2):
        await books.move_money(asked("move", MOVE))
    assert await balance(bank, "b") == (400, 0)

    for _ in range(2):
        undone = await books.move_money_back(undoing("move", MOVE))

    assert (undone.status, undone.amount_minor) == (UndoStatus.EXECUTED, 400)
    assert await balance(bank, "a") == (1_000, 0)
    assert await balance(bank, "b") == (0, 0)


async def test_money_that_was_spent_cannot_be_moved_back(
    books: SqlLedgerActivities, bank: Database
) -> None:
    await books.move_money(asked("move", MOVE))
    await books.move_money(asked("spend", MoneyMove("b", "a", Money(1, "USD"))))

    with pytest.raises(InsufficientFunds):
        await books.move_money_back(undoing("move", MOVE))


async def test_nothing_moves_to_or_from_an_account_that_is_frozen(
    books: SqlLedgerActivities, bank: Database
) -> None:
    await books.place_hold(asked("hold", HOLD))
    await bank.transact(lambda session: accounts.change(session, "b", status="frozen"))

    for late in (
        books.settle_hold(asked("settle", Settlement(HOLD, "b"))),
        books.move_money(asked("move", MOVE)),
        books.place_hold(asked("more", replace(HOLD, id="w/more", account_id="b"))),
    ):
        with pytest.raises(AccountFrozen):
            await late


def test_money_does_not_move_from_an_account_to_itself() -> None:
    with pytest.raises(SameAccount):
        MoneyMove("a", "a", Money(1, "USD"))
    with pytest.raises(SameAccount):
        Settlement(HOLD, "a")


def asked(step: str, request: Any) -> StepCall[Any]:
    return replace(call("w"), step=step, request=request)


def undoing(step: str, request: Any) -> StepCall[Any]:
    return replace(asked(step, request), failure=Failure(step, "cancelled", "cancelled"))

"""Many at once, on both engines: whatever order they come in, the books end as if one by one."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import DuplicateRequest, InsufficientFunds, StepFenced
from domain.ledger import JournalEntry, bank_account_id
from runtime.database import Database
from storage import ledger
from storage.audit import check_books
from tests.conftest import TENANT
from tests.storage.books import (
    balance,
    open_account,
    place,
    post,
    release,
    settle,
    transfer,
    transfer_entry,
)

REFUSALS = (DuplicateRequest, InsufficientFunds, StepFenced)


@pytest.mark.parametrize("funded", [0, 1, 7, 20])
async def test_of_concurrent_debits_as_many_pass_as_there_is_money_for(
    database: Database, funded: int
) -> None:
    await open_account(database, "a", funded * 10)
    await open_account(database, "b")

    outcomes = await together(transfer(database, f"t{n}", "a", "b", 10) for n in range(20))

    assert outcomes == expected(done=funded, InsufficientFunds=20 - funded)
    assert await balance(database, "a") == (0, 0)
    assert await balance(database, "b") == (funded * 10, 0)
    await assert_sound(database)


async def test_of_concurrent_holds_as_many_are_placed_as_there_is_money_for(
    database: Database,
) -> None:
    await open_account(database, "a", 70)

    outcomes = await together(place(database, f"h{n}", "a", 10) for n in range(20))

    assert outcomes == expected(done=7, InsufficientFunds=13)
    assert await balance(database, "a") == (70, 70)
    await assert_sound(database)


async def test_opposite_transfers_never_wait_for_each_other_in_a_circle(
    database: Database,
) -> None:
    await open_account(database, "a", 1_000)
    await open_account(database, "b", 1_000)

    outcomes = await together(
        transfer(database, f"t{n}", "ab"[n % 2], "ba"[n % 2], 10) for n in range(100)
    )

    assert outcomes == expected(done=100)
    assert await balance(database, "a") == (1_000, 0)
    assert database.units_run_again == Counter()
    await assert_sound(database)


async def test_entries_of_many_legs_lock_in_one_order(database: Database) -> None:
    """Each entry pays two others from one: any order of locking but a common one ends badly."""
    names = ("a", "b", "c")
    for name in names:
        await open_account(database, name, 1_000)

    def round_robin(number: int) -> JournalEntry:
        payer, first, second = (names[(number + shift) % 3] for shift in range(3))
        legs = (
            *transfer_entry("", payer, first, 5).postings,
            *transfer_entry("", payer, second, 5).postings,
        )
        return JournalEntry(f"t{number}", "split", legs)

    outcomes = await together(post(database, round_robin(number)) for number in range(60))

    assert outcomes == expected(done=60)
    assert [await balance(database, name) for name in names] == [(1_000, 0)] * 3
    assert database.units_run_again == Counter()
    await assert_sound(database)


async def test_settling_and_releasing_one_hold_at_once_only_one_wins(database: Database) -> None:
    await open_account(database, "a", 1_000)
    await open_account(database, "b")
    for number in range(100):
        await place(database, f"h{number}", "a", 10)

    settled, released = await asyncio.gather(
        together(settle(database, f"h{number}", "a", "b", 10) for number in range(100)),
        together(release(database, f"h{number}", "a") for number in range(100)),
    )

    assert settled["done"] + released["done"] == 100
    assert settled["DuplicateRequest"] + released["DuplicateRequest"] == 100
    assert await balance(database, "a") == (1_000 - 10 * settled["done"], 0)
    assert await balance(database, "b") == (10 * settled["done"], 0)
    assert database.units_run_again == Counter()
    await assert_sound(database)


async def test_two_entries_cannot_both_be_paid_by_one_hold(database: Database) -> None:
    await open_account(database, "a", 1_000)
    await open_account(database, "b")
    for number in range(30):
        await place(database, f"h{number}", "a", 10)

    outcomes = await together(
        post(database, transfer_entry(f"t{n}/{which}", "a", "b", 10), hold_id=f"h{n}")
        for n in range(30)
        for which in "xy"
    )

    assert outcomes == expected(done=30, DuplicateRequest=30)
    assert await balance(database, "a") == (700, 0)
    await assert_sound(database)


async def test_placing_and_calling_off_at_once_leaves_nothing_held(database: Database) -> None:
    await open_account(database, "a", 1_000)

    placed, called_off = await asyncio.gather(
        together(place(database, f"h{number}", "a", 10) for number in range(50)),
        together(release(database, f"h{number}", "a") for number in range(50)),
    )

    assert placed["done"] + placed["StepFenced"] == 50
    assert called_off["done"] + called_off["nothing"] == 50
    assert called_off["done"] == placed["done"]
    assert await balance(database, "a") == (1_000, 0)
    await assert_sound(database)


async def test_one_entry_posted_many_times_at_once_is_posted_once(database: Database) -> None:
    await open_account(database, "a", 1_000)
    await open_account(database, "b")

    outcomes = await together(transfer(database, "t1", "a", "b", 10) for _ in range(50))

    assert outcomes == expected(done=1, nothing=49)
    assert await balance(database, "a") == (990, 0)
    await assert_sound(database)


async def test_of_different_entries_under_one_id_one_is_posted(database: Database) -> None:
    await open_account(database, "a", 10_000)
    await open_account(database, "b")

    outcomes = await together(transfer(database, "t1", "a", "b", n) for n in range(1, 51))

    assert outcomes == expected(done=1, DuplicateRequest=49)
    await assert_sound(database)


async def test_a_ledger_account_that_many_need_first_is_opened_once(database: Database) -> None:
    await open_account(database, "a", 1_000)
    fees = bank_account_id(TENANT, "fees", "USD")

    outcomes = await together(
        transfer(database, f"t{n}", "a", fees.rpartition("/")[0], 10) for n in range(20)
    )

    assert outcomes == expected(done=20)
    assert await balance(database, fees.rpartition("/")[0]) == (200, 0)
    await assert_sound(database)


async def test_a_freeze_and_a_transfer_at_once_come_one_after_the_other(
    database: Database,
) -> None:
    """Whoever saw the account active has committed before it is frozen."""
    await open_account(database, "a", 1_000)
    await open_account(database, "b")
    posted_when_frozen: list[int] = []

    async def freeze(session: AsyncSession) -> None:
        await session.execute(text("UPDATE accounts SET status = 'frozen' WHERE id = 'a'"))
        posted = await session.scalar(
            text("SELECT debits_posted FROM ledger_accounts WHERE id = 'a/USD'")
        )
        posted_when_frozen.append(posted)

    async def use(number: int) -> None:
        async def work(session: AsyncSession) -> None:
            await ledger.check_accounts(session, TENANT, ["a", "b"])
            entry = transfer_entry(f"t{number}", "a", "b", 10)
            await ledger.post(session, entry, tenant_id=TENANT)

        await database.transact(work)

    uses = [asyncio.create_task(use(number)) for number in range(20)]
    freezing = asyncio.create_task(database.transact(freeze))
    await asyncio.gather(*uses, freezing, return_exceptions=True)

    posted, _ = await balance(database, "a")
    assert posted_when_frozen[-1] == 1_000 - posted


def expected(**outcomes: int) -> Counter[str]:
    return Counter({name: count for name, count in outcomes.items() if count})


async def together(calls: Any) -> Counter[str]:
    """How many were done, were repeats that did nothing, and were refused, by name."""
    awaited: Sequence[Awaitable[Any]] = list(calls)
    outcomes = await asyncio.gather(*awaited, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, REFUSALS):
            raise outcome
    return Counter(
        type(outcome).__name__ if isinstance(outcome, BaseException) else _done(outcome)
        for outcome in outcomes
    )


def _done(changes: Any) -> str:
    return "done" if changes else "nothing"


async def assert_sound(database: Database) -> None:
    async with database.read() as session:
        assert [str(found) for found in await check_books(session)] == []

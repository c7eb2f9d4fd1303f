"""Jepsen's bank: money goes round between accounts while others count it, and no count is wrong.

A count reads every account in one statement, so it must see each transfer whole or not at all.
Every transfer that was answered is there once; one that was refused is not there.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field

import pytest
from sqlalchemy import text

from domain.errors import InsufficientFunds
from runtime.database import Database
from storage.audit import check_books
from tests.figures import Figure
from tests.storage.books import open_account, place, release, settle, transfer

ACCOUNTS = tuple(f"a{number}" for number in range(8))
FUNDS = 100
TOTAL = FUNDS * len(ACCOUNTS)
SECONDS = 5.0
WRITERS = 10
READERS = 2
COUNT = text(
    "SELECT coalesce(sum(credits_posted - debits_posted), 0) AS total, "
    "min(credits_posted - debits_posted - debits_pending) AS least, count(*) AS accounts "
    "FROM ledger_accounts WHERE account_id IS NOT NULL"
)


@dataclass
class History:
    """What was asked and what was answered."""

    until: float
    done: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    wrong_counts: list[tuple[int, int, int]] = field(default_factory=list)
    counts: int = 0


@pytest.mark.slow
async def test_money_that_goes_round_is_never_lost_or_made_whoever_counts_it(
    database: Database, figure: Figure
) -> None:
    for account in ACCOUNTS:
        await open_account(database, account, FUNDS)
    history = History(time.monotonic() + SECONDS)

    await asyncio.gather(
        *(write(database, history, number) for number in range(WRITERS)),
        *(count(database, history) for _ in range(READERS)),
    )

    assert history.wrong_counts == []
    assert history.counts > 0
    assert await posted(database) == history.done
    assert history.refused, "nobody was ever short of money: the accounts are too rich"
    async with database.read() as session:
        assert [str(found) for found in await check_books(session)] == []
    figure(
        f"{len(history.done)} transfers done, {len(history.refused)} refused, {history.counts} "
        f"counts, 0 wrong; units run again: {dict(database.units_run_again)}"
    )


async def write(database: Database, history: History, number: int) -> None:
    """Transfers at once, and in two steps: held first, then settled or given back."""
    chance = random.Random(number)
    for attempt in range(100_000):
        if time.monotonic() > history.until:
            return
        source, target = chance.sample(ACCOUNTS, 2)
        minor = chance.randint(1, 60)
        move_id = f"w{number}-{attempt}"
        try:
            match chance.randrange(4):
                case 0:
                    await place(database, move_id, source, minor)
                    await release(database, move_id, source)
                case 1:
                    await place(database, move_id, source, minor)
                    await settle(database, move_id, source, target, minor)
                    history.done.add(f"{move_id}/settle")
                case _:
                    await transfer(database, move_id, source, target, minor)
                    history.done.add(move_id)
        except InsufficientFunds:
            history.refused.add(move_id)


async def count(database: Database, history: History) -> None:
    while time.monotonic() < history.until:
        async with database.read() as session:
            found = (await session.execute(COUNT)).one()
        history.counts += 1
        if (found.total, found.accounts) != (TOTAL, len(ACCOUNTS)) or found.least < 0:
            history.wrong_counts.append(tuple(found))
        await asyncio.sleep(0.002)


async def posted(database: Database) -> set[str]:
    query = text("SELECT id FROM journal_entries WHERE kind = 'transfer'")
    async with database.read() as session:
        return set(await session.scalars(query))

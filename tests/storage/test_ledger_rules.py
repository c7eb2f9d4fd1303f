"""What a bug, a console or a careless migration tries, and what the database itself says to it."""

import sqlite3

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from runtime.database import Database
from storage.ledger_rules import KEYS
from tests.storage.books import balance, open_account, place, release, settle, transfer

NOW = "'2026-01-01 00:00:00'"
ENTRY = (
    "INSERT INTO journal_entries (id, tenant_id, kind, fingerprint, effective_at, recorded_at, "
    f"sealed) VALUES ('x', 'ten_test', 'transfer', 'f', {NOW}, {NOW}, 0)"
)
POSTING = (
    "INSERT INTO postings (entry_id, line, ledger_account_id, direction, amount_minor, "
    "account_version, balance_after) VALUES "
)
HOLD = (
    "INSERT INTO holds (id, tenant_id, ledger_account_id, amount_minor, state, placed_version, "
    "resolved_version, placed_at, resolved_at) VALUES "
)
LEDGER_ACCOUNT = (
    "INSERT INTO ledger_accounts (id, tenant_id, account_id, asset_code, normal, min_available, "
    "version, debits_posted, credits_posted, debits_pending, credits_pending, created_at) VALUES "
)
TAMPERING = {
    "a posting is changed": "UPDATE postings SET amount_minor = 1",
    "a posting is deleted": "DELETE FROM postings",
    "a posting is added to a sealed entry": f"{POSTING} ('t1', 2, 'a/USD', 1, 5, 99, 0)",
    "an entry is deleted": "DELETE FROM journal_entries",
    "an entry is unsealed": "UPDATE journal_entries SET sealed = 0",
    "an entry is re-dated": f"UPDATE journal_entries SET recorded_at = {NOW}",
    "an entry is sealed when it comes": ENTRY.replace(", 0)", ", 1)"),
    "an entry of one leg is sealed": (
        f"{ENTRY}; {POSTING} ('x', 0, 'a/USD', 1, 5, 99, 0); "
        "UPDATE journal_entries SET sealed = 1 WHERE id = 'x'"
    ),
    "an entry of nothing is sealed": (
        f"{ENTRY}; UPDATE journal_entries SET sealed = 1 WHERE id = 'x'"
    ),
    "an entry becomes another before it is sealed": (
        f"{ENTRY}; UPDATE journal_entries SET hold_id = 'placed' WHERE id = 'x'"
    ),
    "an entry that does not balance is sealed": (
        f"{ENTRY}; {POSTING} ('x', 0, 'a/USD', 1, 5, 99, 0), ('x', 1, 'b/USD', -1, 4, 99, 0); "
        "UPDATE journal_entries SET sealed = 1 WHERE id = 'x'"
    ),
    "a posting of nothing": f"{ENTRY}; {POSTING} ('x', 0, 'a/USD', 1, 0, 99, 0)",
    "a posting of less than nothing": f"{ENTRY}; {POSTING} ('x', 0, 'a/USD', 1, -5, 99, 0)",
    "a posting of half a cent": f"{ENTRY}; {POSTING} ('x', 0, 'a/USD', 1, 0.5, 99, 0)",
    "two postings of one version": (
        f"{ENTRY}; {POSTING} ('x', 0, 'a/USD', 1, 5, 99, 0), ('x', 1, 'a/USD', -1, 5, 99, 0)"
    ),
    "a hold is deleted": "DELETE FROM holds",
    "a hold comes settled": (
        f"{HOLD} ('x', 'ten_test', 'a/USD', 5, 'settled', 98, 99, {NOW}, {NOW})"
    ),
    "a hold comes released": (
        f"{HOLD} ('x', 'ten_test', 'a/USD', 5, 'released', 98, 99, {NOW}, {NOW})"
    ),
    "a hold grows": "UPDATE holds SET amount_minor = 99 WHERE id = 'placed'",
    "a hold moves": "UPDATE holds SET ledger_account_id = 'b/USD' WHERE id = 'placed'",
    "a hold is resolved without a version": (
        f"UPDATE holds SET state = 'released', resolved_at = {NOW} WHERE id = 'placed'"
    ),
    "a hold is settled after it was released": (
        "UPDATE holds SET state = 'settled', resolved_version = 99 WHERE id = 'released'"
    ),
    "a hold is released after it was settled": (
        "UPDATE holds SET state = 'released', resolved_version = 99 WHERE id = 'settled'"
    ),
    "a hold is placed again": (
        "UPDATE holds SET state = 'placed', resolved_version = NULL, resolved_at = NULL "
        "WHERE id = 'released'"
    ),
    "a counter is lowered": (
        "UPDATE ledger_accounts SET credits_posted = credits_posted - 1, version = version + 1 "
        "WHERE id = 'a/USD'"
    ),
    "a counter is changed without a version": (
        "UPDATE ledger_accounts SET credits_posted = credits_posted + 1 WHERE id = 'a/USD'"
    ),
    "a version is skipped": (
        "UPDATE ledger_accounts SET credits_posted = credits_posted + 1, version = version + 2"
    ),
    "a version is wound back": "UPDATE ledger_accounts SET version = version - 1",
    "an account is overdrawn": (
        "UPDATE ledger_accounts SET debits_posted = debits_posted + 9999, version = version + 1 "
        "WHERE id = 'a/USD'"
    ),
    "more is held than is there": (
        "UPDATE ledger_accounts SET debits_pending = debits_pending + 9999, version = version + 1 "
        "WHERE id = 'a/USD'"
    ),
    "less than nothing is held": (
        "UPDATE ledger_accounts SET debits_pending = debits_pending - 9999, version = version + 1 "
        "WHERE id = 'a/USD'"
    ),
    "a limit is set below which the account is": (
        "UPDATE ledger_accounts SET min_available = 9999 WHERE id = 'a/USD'"
    ),
    "an account becomes the bank's": (
        "UPDATE ledger_accounts SET account_id = NULL WHERE id = 'a/USD'"
    ),
    "an account becomes another's": (
        "UPDATE ledger_accounts SET account_id = 'b' WHERE id = 'a/USD'"
    ),
    "an account changes sides": (
        "UPDATE ledger_accounts SET normal = 'debit' WHERE account_id IS NULL"
    ),
    "dollars become euros": "UPDATE ledger_accounts SET asset_code = 'EUR' WHERE id = 'a/USD'",
    "a ledger account is deleted": "DELETE FROM ledger_accounts",
    "a ledger account comes with money": (
        f"{LEDGER_ACCOUNT} ('a/EUR', 'ten_test', 'a', 'EUR', 'credit', 0, 1, 0, 5, 0, 0, {NOW})"
    ),
    "a ledger account bears another's name": (
        f"{LEDGER_ACCOUNT} ('b/EUR', 'ten_test', 'a', 'EUR', 'credit', 0, 0, 0, 0, 0, 0, {NOW})"
    ),
    "a customer's account is named like the bank's": (
        "UPDATE accounts SET id = 'ten_test:cash' WHERE id = 'unused'"
    ),
}


@pytest_asyncio.fixture
async def books(database: Database) -> Database:
    """Two customers, a transfer, and a hold in each state."""
    await open_account(database, "a", 1_000)
    await open_account(database, "b")
    await open_account(database, "unused")
    await transfer(database, "t1", "a", "b", 100)
    for hold_id in ("placed", "settled", "released"):
        await place(database, hold_id, "a", 10)
    await settle(database, "settled", "a", "b", 10)
    await release(database, "released", "a")
    return database


@pytest.mark.parametrize("tampering", TAMPERING.values(), ids=TAMPERING.keys())
async def test_the_database_refuses_when(books: Database, tampering: str) -> None:
    async def tamper(session: AsyncSession) -> None:
        for statement in tampering.split("; "):
            await session.execute(text(statement))

    with pytest.raises(IntegrityError):
        await books.transact(tamper)

    assert await balance(books, "a") == (890, 10)


@pytest.mark.parametrize("table", KEYS)
async def test_the_books_are_never_emptied(books: Database, table: str) -> None:
    emptying = f"DELETE FROM {table}" if books.is_sqlite else f"TRUNCATE {table} CASCADE"

    with pytest.raises(DBAPIError, match=r"never|immutable"):
        await books.transact(lambda session: session.execute(text(emptying)))


async def test_an_entry_cannot_be_committed_unsealed(books: Database) -> None:
    if books.is_sqlite:
        pytest.skip("SQLite has no deferred triggers: storage/audit.py finds such an entry")

    with pytest.raises(DBAPIError, match="sealed when it is committed"):
        await books.transact(lambda session: session.execute(text(ENTRY)))


async def test_a_replication_role_meets_the_same_rules(books: Database) -> None:
    if books.is_sqlite:
        pytest.skip("SQLite has no roles")

    async def tamper(session: AsyncSession) -> None:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text("UPDATE postings SET amount_minor = 1"))

    with pytest.raises(DBAPIError, match="immutable"):
        await books.transact(tamper)


@pytest.mark.parametrize("pragma", ["ON", "OFF"])
@pytest.mark.parametrize(
    "replacing",
    [
        f"REPLACE INTO {POSTING.removeprefix('INSERT INTO')} ('t1', 0, 'a/USD', 1, 5, 2, 0)",
        ENTRY.replace("INSERT", "REPLACE").replace("'x'", "'t1'"),
        "INSERT OR REPLACE INTO journal_entries SELECT 'x', tenant_id, kind, 'f', hold_id, "
        "workflow_id, effective_at, recorded_at, 0 FROM journal_entries WHERE hold_id = 'settled'",
        f"{ENTRY}; REPLACE INTO {POSTING.removeprefix('INSERT INTO')} "
        "('x', 0, 'a/USD', 1, 5, 2, 0)",
        f"REPLACE INTO {HOLD.removeprefix('INSERT INTO')} "
        f"('settled', 'ten_test', 'a/USD', 5, 'placed', 98, NULL, {NOW}, NULL)",
        f"REPLACE INTO {HOLD.removeprefix('INSERT INTO')} "
        f"('x', 'ten_test', 'a/USD', 5, 'placed', 3, NULL, {NOW}, NULL)",
        "UPDATE OR REPLACE holds SET state = 'released', resolved_at = placed_at, "
        "resolved_version = (SELECT resolved_version FROM holds WHERE id = 'released') "
        "WHERE id = 'placed'",
        f"REPLACE INTO {LEDGER_ACCOUNT.removeprefix('INSERT INTO')} "
        f"('a/USD', 'ten_test', 'a', 'USD', 'credit', 0, 0, 0, 0, 0, 0, {NOW})",
    ],
)
async def test_nothing_is_replaced_in_sqlite_whatever_the_connection_says(
    sqlite: Database, pragma: str, replacing: str
) -> None:
    await open_account(sqlite, "a", 1_000)
    await open_account(sqlite, "b")
    await transfer(sqlite, "t1", "a", "b", 100)
    for hold_id in ("placed", "settled", "released"):
        await place(sqlite, hold_id, "a", 10)
    await settle(sqlite, "settled", "a", "b", 10)
    await release(sqlite, "released", "a")
    console = sqlite3.connect(str(make_url(sqlite.url).database))
    console.execute(f"PRAGMA recursive_triggers = {pragma}")

    with pytest.raises(sqlite3.IntegrityError):
        console.executescript(f"BEGIN; {replacing}; COMMIT")

    console.close()
    assert await balance(sqlite, "a") == (890, 10)


async def test_a_console_that_knows_no_pragma_meets_the_same_rules(books: Database) -> None:
    """Another connection, as a person opens it."""
    engine = create_async_engine(books.url)

    for statement in ("DELETE FROM postings", "UPDATE ledger_accounts SET debits_posted = 0"):
        async with engine.connect() as console:
            with pytest.raises(DBAPIError):
                await console.execute(text(statement))

    await engine.dispose()

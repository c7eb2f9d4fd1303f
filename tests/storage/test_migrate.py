import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

import storage.tables
from runtime.database import Database
from storage.ledger_rules import statements
from storage.migrate import DatabaseIsNewer, upgrade
from tests.schema import empty_database

ROOT = Path(storage.tables.__file__).parents[1]
UPGRADE = "import sys; from storage.migrate import upgrade; upgrade(sys.argv[1])"
# The process dies when it is about to make the first rule of the books: after the tables.
DIE_HALF_WAY = f"""
import os, sqlalchemy
execute = sqlalchemy.Connection.exec_driver_sql
def until_the_rules(connection, statement, *more):
    return os._exit(9) if "TRIGGER" in statement else execute(connection, statement, *more)
sqlalchemy.Connection.exec_driver_sql = until_the_rules
{UPGRADE}
"""


@pytest_asyncio.fixture
async def empty(database_url: str) -> AsyncIterator[str]:
    async with empty_database(database_url) as url:
        yield url


async def test_the_migrations_make_what_the_code_expects(database: Database) -> None:
    def differences(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)

    engine = create_async_engine(database.url)
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()

    assert found == [], "write a migration"


async def test_the_migrations_make_every_rule_of_the_books(database: Database) -> None:
    query = (
        "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
        if database.is_sqlite
        else "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"
    )
    dialect = "sqlite" if database.is_sqlite else "postgresql"
    expected = [one for one in statements(dialect) if "TRIGGER" in one and "ALTER" not in one]

    async with database.read() as session:
        assert await session.scalar(text(query)) == len(expected)
    newest = (ROOT / "storage/migrations/versions" / f"0001_first.{dialect}.sql").read_text()
    assert [one for one in statements(dialect) if one.strip() not in newest] == []


async def test_upgrading_twice_is_upgrading_once_even_inside_an_event_loop(empty: str) -> None:
    upgrade(empty)
    upgrade(empty)

    assert await fetch(empty, "SELECT count(*) FROM alembic_version") == [(1,)]


async def test_processes_that_upgrade_at_once_wait_for_each_other(empty: str) -> None:
    codes = await asyncio.gather(*(run_python(UPGRADE, empty) for _ in range(3)))

    assert codes == [0, 0, 0]
    assert await fetch(empty, "SELECT count(*) FROM alembic_version") == [(1,)]


async def test_an_upgrade_that_dies_half_way_leaves_nothing(empty: str) -> None:
    tables = (
        "SELECT name FROM sqlite_master"
        if empty.startswith("sqlite")
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )

    assert await run_python(DIE_HALF_WAY, empty) == 9

    assert await fetch(empty, tables) == []
    upgrade(empty)
    assert len(await fetch(empty, tables)) > 10


async def test_a_database_of_a_newer_release_is_refused_in_plain_words(empty: str) -> None:
    upgrade(empty)
    await execute(empty, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DatabaseIsNewer, match="9999 of a newer release"):
        upgrade(empty)

    assert await fetch(empty, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_sqlite_file_lets_readers_and_the_writer_work_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "a 100% new.db"

    upgrade(f"sqlite+aiosqlite:///{path}")

    connection = sqlite3.connect(path)
    [(mode,)] = connection.execute("PRAGMA journal_mode")
    connection.close()
    assert mode == "wal"


async def run_python(program: str, *arguments: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *arguments, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


async def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        rows = [tuple(row) for row in await connection.execute(text(query))]
    await engine.dispose()
    return rows


async def execute(url: str, statement: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text(statement))
    await engine.dispose()

"""`sagapost migrate`, which a deployment runs before anything else: schema and first key."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from cli.main import make_app
from domain.api_keys import key_id, new_key
from runtime.database import Database
from storage.keys import find_key


async def migrate(url: str, root_key: str = "") -> tuple[int, str]:
    environment = {"SAGAPOST_DATABASE_URL": url, "SAGAPOST_ROOT_API_KEY": root_key}
    runner = CliRunner()
    done = await asyncio.to_thread(runner.invoke, make_app(), ["migrate"], env=environment)
    return done.exit_code, done.output


async def test_it_makes_the_first_key_where_its_value_is_given(database: Database) -> None:
    key = new_key()

    first, second = [await migrate(database.url, key) for _ in range(2)]

    assert first == second
    assert first[0] == 0, first[1]
    assert key not in first[1]
    id = key_id(key)
    assert id is not None
    async with database.read() as session:
        kept = await find_key(session, id)
    assert kept is not None
    assert kept.is_root


async def test_it_makes_no_key_that_nobody_would_see(database: Database) -> None:
    assert (await migrate(database.url))[0] == 0

    async with database.read() as session:
        assert await session.scalar(text("SELECT count(*) FROM api_keys")) == 0


@pytest.mark.parametrize(
    ("key", "complaint"), [("short", "SAGAPOST_ROOT_API_KEY"), ("", "newer release")]
)
async def test_what_it_cannot_do_is_told_in_a_line(
    sqlite: Database, key: str, complaint: str
) -> None:
    if not key:
        await sqlite.transact(with_newer_schema)

    code, said = await migrate(sqlite.url, key)

    assert code == 2
    assert complaint in said
    assert "Traceback" not in said


async def with_newer_schema(session: AsyncSession) -> None:
    await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

"""Make the schema for one test: a file on SQLite, a database of its own on PostgreSQL.

The migrations run once in a session and server; each test gets a copy of what they made.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from storage.migrate import upgrade


@asynccontextmanager
async def make_schema(url: str) -> AsyncIterator[str]:
    if url.startswith("sqlite"):
        await asyncio.to_thread(_copy_sqlite, make_url(url).database or "")
        yield url
        return
    template = await _postgresql_template(url)
    async with empty_database(url, template=template) as scoped:
        yield scoped


@asynccontextmanager
async def empty_database(url: str, *, template: str = "template1") -> AsyncIterator[str]:
    """Without any table, unless there is a template."""
    if url.startswith("sqlite"):
        yield url
        return
    name = f"test_{uuid4().hex}"
    await _on_server(url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _beside(url, name)
    await _on_server(url, f"DROP DATABASE {name} WITH (FORCE)")


def _copy_sqlite(file: str) -> None:
    if not Path(file).exists():
        Path(file).write_bytes(_sqlite_template())


@cache
def _sqlite_template() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        upgrade(f"sqlite+aiosqlite:///{path}")
        return path.read_bytes()


_templates: dict[str, str] = {}


async def _postgresql_template(url: str) -> str:
    if url not in _templates:
        name = f"template_{uuid4().hex}"
        await _on_server(url, f"CREATE DATABASE {name}")
        await asyncio.to_thread(upgrade, _beside(url, name))
        _templates[url] = name
    return _templates[url]


def _beside(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


async def _on_server(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()

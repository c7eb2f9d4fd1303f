"""Make the schema for one test: a file on SQLite, a database of its own on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from storage.migrate import upgrade


@asynccontextmanager
async def make_schema(url: str) -> AsyncIterator[str]:
    async with empty_database(url) as scoped:
        await asyncio.to_thread(upgrade, scoped)
        yield scoped


@asynccontextmanager
async def empty_database(url: str) -> AsyncIterator[str]:
    if url.startswith("sqlite"):
        yield url
        return
    name = f"test_{uuid4().hex}"
    await _on_server(url, f"CREATE DATABASE {name}")
    yield make_url(url).set(database=name).render_as_string(hide_password=False)
    await _on_server(url, f"DROP DATABASE {name} WITH (FORCE)")


async def _on_server(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()

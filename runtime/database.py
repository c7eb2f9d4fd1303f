"""The database as a process sees it: units of work that commit whole, and reads.

SQLite has one writer: units of this process queue for one connection, and BEGIN IMMEDIATE queues
for other processes. PostgreSQL has row locks: a unit that lost a deadlock is run again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from runtime.wakeup import CHANNEL, Bell
from storage.outbox import DELIVERIES_ADDED

Result = TypeVar("Result")
Work = Callable[[AsyncSession], Awaitable[Result]]

UNITS_TRIED_MAX = 5
# serialization_failure, deadlock_detected, and unique_violation: of two that made the same row at
# once the second looks again and finds it.
WORTH_ANOTHER_TRY = frozenset({"40001", "40P01", "23505"})
BUSY_TIMEOUT_MS = 30_000


class Database:
    """Make one per process; `await close()` it at the end."""

    def __init__(self, url: str, *, bell: Bell | None = None, pool_size: int = 10) -> None:
        self.url = url
        self.bell = bell or Bell()
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            self._writer = _sqlite_engine(url, begin="BEGIN IMMEDIATE", pool_size=1)
            self._reader = _sqlite_engine(url, begin="BEGIN", pool_size=pool_size)
        else:
            self._writer = create_async_engine(url, pool_size=pool_size, max_overflow=pool_size)
            self._reader = self._writer
        self._writers = async_sessionmaker(self._writer, expire_on_commit=False)
        self._readers = async_sessionmaker(self._reader, expire_on_commit=False)

    async def transact(self, work: Work[Result]) -> Result:
        """Run `work` in one transaction and commit it; any error rolls all of it back.

        On PostgreSQL a unit that lost a race is run again, so `work` must only touch the database.
        """
        for _ in range(UNITS_TRIED_MAX - 1):
            try:
                return await self._once(work)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in WORTH_ANOTHER_TRY:
                    raise
        return await self._once(work)

    async def _once(self, work: Work[Result]) -> Result:
        async with self._writers.begin() as session:
            result = await work(session)
            await session.flush()
            added = session.info.get(DELIVERIES_ADDED, False)
            if added and not self.is_sqlite:
                await session.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))
        if added:
            self.bell.ring()
        return result

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session to look things up with. What it writes is thrown away."""
        async with self._readers() as session:
            yield session

    @asynccontextmanager
    async def raw_connection(self) -> AsyncIterator[AsyncConnection]:
        async with self._reader.connect() as connection:
            yield connection

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()


def _sqlite_engine(url: str, *, begin: str, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )

    # The driver's own BEGIN comes late and is never IMMEDIATE: a unit that reads first and then
    # writes would fail at once when another process wrote in between.
    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            # Else INSERT OR REPLACE deletes a protected row without its delete trigger.
            "recursive_triggers = ON",
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine

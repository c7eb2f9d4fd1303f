"""The database as a process sees it: units of work that commit whole, and reads.

SQLite has one writer, and units of work share its commits: runtime/sqlite.py. PostgreSQL has row
locks: a unit that lost a deadlock is run again.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from runtime.sqlite import GroupCommit, reader_engine, writer_engine
from runtime.wakeup import CHANNEL, Bell
from storage.outbox import DELIVERIES_ADDED

Result = TypeVar("Result")
Work = Callable[[AsyncSession], Awaitable[Result]]

UNITS_TRIED_MAX = 5
# serialization_failure, deadlock_detected, and unique_violation: of two that made the same row at
# once the second looks again and finds it.
WORTH_ANOTHER_TRY = frozenset({"40001", "40P01", "23505"})


class Database:
    """Make one per process; `await close()` it at the end."""

    def __init__(self, url: str, *, bell: Bell | None = None, pool_size: int = 10) -> None:
        self.url = url
        self.bell = bell or Bell()
        self.is_sqlite = url.startswith("sqlite")
        self._writer: GroupCommit | LockingWriter
        if self.is_sqlite:
            self._writer = GroupCommit(writer_engine(url), self.bell)
            self._reader = reader_engine(url, pool_size=pool_size)
        else:
            self._reader = create_async_engine(url, pool_size=pool_size, max_overflow=pool_size)
            self._writer = LockingWriter(self._reader, self.bell)
        self._readers = async_sessionmaker(self._reader, expire_on_commit=False)

    async def transact(self, work: Work[Result]) -> Result:
        """Run `work` in one transaction and return once it is committed; an error undoes it all.

        It may be run again after a lost race, so `work` must only touch the database.
        """
        return await self._writer.transact(work)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session to look things up with. What it writes is thrown away."""
        async with self._readers() as session:
            yield session

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.dispose()


class LockingWriter:
    """PostgreSQL: units run side by side, held apart by row locks."""

    def __init__(self, engine: AsyncEngine, bell: Bell) -> None:
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        self._bell = bell

    async def transact(self, work: Work[Result]) -> Result:
        for _ in range(UNITS_TRIED_MAX - 1):
            try:
                return await self._once(work)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in WORTH_ANOTHER_TRY:
                    raise
        return await self._once(work)

    async def _once(self, work: Work[Result]) -> Result:
        async with self._sessions.begin() as session:
            result = await work(session)
            await session.flush()
            added = session.info.get(DELIVERIES_ADDED, False)
            if added:  # Part of the transaction: heard by every worker when it commits.
                await session.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))
        if added:
            self._bell.ring()
        return result

    async def close(self) -> None:
        """The engine is the reader's too, and closed with it."""

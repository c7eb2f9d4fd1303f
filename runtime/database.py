"""The database as a process sees it: units of work that commit whole, and reads.

SQLite has one writer, and units of work share its commits: runtime/sqlite.py. PostgreSQL has row
locks: a unit that lost a deadlock is run again.
"""

import asyncio
import random
from collections import Counter
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
CONNECTION_LOST = "connection lost"
BEFORE_COMMIT = "before the commit"
AGAIN_WITHIN_S = 0.02
# A process that vanished with its host must not hold its row locks until TCP notices.
SERVER_SETTINGS = {
    "application_name": "sagapost",
    "idle_in_transaction_session_timeout": "30000",
}


class Database:
    """Make one per process; `await close()` it at the end."""

    def __init__(self, url: str, *, bell: Bell | None = None, pool_size: int = 10) -> None:
        self.url = url
        self.bell = bell or Bell()
        self.is_sqlite = url.startswith("sqlite")
        # How often a unit lost a race, or its connection, and was run again: by SQLSTATE.
        self.units_run_again: Counter[str] = Counter()
        self._writer: GroupCommit | LockingWriter
        if self.is_sqlite:
            self._writer = GroupCommit(writer_engine(url), self.bell)
            self._reader = reader_engine(url, pool_size=pool_size)
        else:
            self._reader = create_async_engine(
                url,
                pool_size=pool_size,
                max_overflow=pool_size,
                connect_args={"server_settings": SERVER_SETTINGS},
            )
            self._writer = LockingWriter(self._reader, self.bell, self.units_run_again)
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

    def __init__(self, engine: AsyncEngine, bell: Bell, run_again: Counter[str]) -> None:
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        self._bell = bell
        self._run_again = run_again

    async def transact(self, work: Work[Result]) -> Result:
        for _ in range(UNITS_TRIED_MAX - 1):
            try:
                return await self._once(work)
            except DBAPIError as error:
                why = _worth_another_try(error)
                if why is None:
                    raise
                self._run_again[why] += 1
            # Those who got in each other's way should not come back in step.
            await asyncio.sleep(random.uniform(0, AGAIN_WITHIN_S))  # noqa: S311 - no secret
        return await self._once(work)

    async def _once(self, work: Work[Result]) -> Result:
        async with self._sessions.begin() as session:
            try:
                result = await work(session)
                await session.flush()
                added = session.info.get(DELIVERIES_ADDED, False)
                if added:  # Part of the transaction: heard by every worker when it commits.
                    await session.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))
            except DBAPIError as error:
                error.add_detail(BEFORE_COMMIT)
                raise
        if added:
            self._bell.ring()
        return result

    async def close(self) -> None:
        """The engine is the reader's too, and closed with it."""


def _worth_another_try(error: DBAPIError) -> str | None:
    """Why the unit should be run again: it is certain that nothing of it was committed."""
    if error.connection_invalidated:
        # Lost at the commit, nobody knows whether it was done.
        return CONNECTION_LOST if BEFORE_COMMIT in error.detail else None
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state if state in WORTH_ANOTHER_TRY else None

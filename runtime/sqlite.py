"""SQLite as a fast single writer: group commit, and no thread hop for statements of microseconds.

A commit waits for the disk, a statement does not. So units of work that wait for the one writer
share a transaction, each inside a savepoint of its own, and are all answered after one commit; and
statements run where they are called, while BEGIN and COMMIT, which may wait, run in a thread.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm.session import JoinTransactionMode

from runtime.wakeup import Bell
from runtime.writer_lock import WriterLock
from storage.outbox import DELIVERIES_ADDED

Result = TypeVar("Result")
Work = Callable[[AsyncSession], Awaitable[Any]]

BUSY_TIMEOUT_S = 30
GROUP_MAX = 64


class InlineConnection(aiosqlite.Connection):
    """Runs statements in the caller's thread; what may wait for a lock or the disk, in its own."""

    lock: WriterLock

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], str) and args[0].startswith("BEGIN"):
            return await self._in_thread(self._begin, fn, *args)
        if isinstance(getattr(fn, "__self__", None), sqlite3.Connection):
            if fn.__name__ in ("commit", "rollback"):
                return await self._in_thread(self._end, fn)
            if fn.__name__ == "close":
                return await self._in_thread(self._close, fn)
        return fn(*args, **kwargs)

    async def _in_thread(self, fn: Any, *args: Any) -> Any:
        return await super()._execute(fn, *args)  # type: ignore[no-untyped-call]

    def _begin(self, execute: Any, *args: Any) -> Any:
        self.lock.acquire()
        try:
            return execute(*args)
        except BaseException:
            self.lock.release()
            raise

    def _end(self, commit_or_rollback: Any) -> None:
        try:
            commit_or_rollback()
        finally:
            self.lock.release()

    def _close(self, close: Any) -> None:
        close()
        self.lock.close()


def reader_engine(url: str, *, pool_size: int) -> AsyncEngine:
    """Reads may be long: they run in threads of their own."""
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_S,
        connect_args={"timeout": BUSY_TIMEOUT_S},
    )
    return _configured(engine, begin="BEGIN")


def writer_engine(url: str) -> AsyncEngine:
    path = make_url(url).database
    assert path, "a database in memory is one connection's own: give a file"

    async def connect() -> aiosqlite.Connection:
        return await _open(path)

    engine = create_async_engine(url, pool_size=1, max_overflow=0, async_creator=connect)
    return _configured(engine, begin="BEGIN IMMEDIATE")


async def _open(path: str) -> aiosqlite.Connection:
    template = aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    connection = InlineConnection(template._connector, iter_chunk_size=64)
    connection._thread.daemon = True
    connection.lock = WriterLock(Path(path))
    return await connection


def _configured(engine: AsyncEngine, *, begin: str) -> AsyncEngine:
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
            f"busy_timeout = {BUSY_TIMEOUT_S * 1000}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


class GroupCommit:
    """Runs units of work in groups: one transaction, one commit, a savepoint for each."""

    def __init__(self, engine: AsyncEngine, bell: Bell) -> None:
        self._engine = engine
        self._bell = bell
        self._waiting: list[tuple[Work, asyncio.Future[Any]]] = []
        self._running: asyncio.Task[None] | None = None

    async def transact(self, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        """Return `work`'s result once it is on disk; its error undoes it and nothing else.

        A caller that is cancelled meanwhile does not know whether it was committed.
        """
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._running is None:
            self._running = asyncio.create_task(self._run_groups())
        return await done

    async def close(self) -> None:
        if self._running is not None:
            await self._running
        await self._engine.dispose()

    async def _run_groups(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
                await self._commit([unit for unit in group if not unit[1].done()])
        finally:
            self._running = None
            for _, done in self._waiting:  # Only if this task was cancelled: nobody comes for them.
                done.cancel()

    async def _commit(self, group: list[tuple[Work, asyncio.Future[Any]]]) -> None:
        outcomes: list[_Outcome] = []
        run = _run_alone if len(group) == 1 else _run_unit
        try:
            async with self._engine.begin() as connection:
                for work, done in group:
                    outcomes.append(await run(connection, work, done))
        except (Exception, asyncio.CancelledError) as error:
            # The transaction is lost, and with it every unit of the group.
            if _is_being_cancelled():
                for _, done in group:
                    done.cancel()
                raise
            for _, done in group:
                _answer(done, error=error)
            return
        if any(outcome.deliveries_added for outcome in outcomes):
            self._bell.ring()
        for outcome in outcomes:
            _answer(outcome.done, result=outcome.result, error=outcome.error)


class _Outcome:
    """What one unit came to, to be told after the commit."""

    def __init__(self, done: asyncio.Future[Any]) -> None:
        self.done = done
        self.result: Any = None
        self.error: BaseException | None = None
        self.deliveries_added = False


async def _run_alone(
    connection: AsyncConnection,
    work: Work,
    done: asyncio.Future[Any],
    mode: JoinTransactionMode = "rollback_only",
) -> _Outcome:
    """Without neighbours there is nothing that a savepoint would keep apart.

    Raises what the unit raises, which undoes the transaction.
    """
    outcome = _Outcome(done)
    session = AsyncSession(connection, expire_on_commit=False, join_transaction_mode=mode)
    async with session, session.begin():
        outcome.result = await work(session)
    outcome.deliveries_added = bool(session.info.get(DELIVERIES_ADDED))
    return outcome


async def _run_unit(connection: AsyncConnection, work: Work, done: asyncio.Future[Any]) -> _Outcome:
    """Among others: its error undoes its savepoint, and is told after the commit."""
    try:
        return await _run_alone(connection, work, done, "create_savepoint")
    except (Exception, asyncio.CancelledError) as error:
        if _is_being_cancelled():
            raise
        raw: Any = (await connection.get_raw_connection()).driver_connection
        if not raw.in_transaction:  # A full disk undoes the whole transaction, not a savepoint.
            raise
        outcome = _Outcome(done)
        outcome.error = error
        return outcome


def _is_being_cancelled() -> bool:
    """Whether it is the writer's own task that is to end, and not something a unit waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _answer(
    done: asyncio.Future[Any], *, result: Any = None, error: BaseException | None = None
) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)

import asyncio
import contextlib
from collections import Counter

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from runtime.database import CONNECTION_LOST, Database
from runtime.wakeup import Ear
from storage.outbox import DELIVERIES_ADDED
from storage.tables import Tenant


async def test_a_unit_is_committed_whole_and_its_result_returned(database: Database) -> None:
    assert await database.transact(lambda session: add(session, "x")) == "x"
    assert await tenants(database) == {"x"}


async def test_a_unit_that_fails_leaves_nothing(database: Database) -> None:
    async def work(session: AsyncSession) -> None:
        await add(session, "x")
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await database.transact(work)

    assert await tenants(database) == set()


async def test_a_unit_that_fails_takes_no_other_with_it(database: Database) -> None:
    async def work(session: AsyncSession, name: str) -> None:
        await add(session, name)
        if name in ("t3", "t7"):
            raise RuntimeError(name)

    outcomes = await asyncio.gather(
        *(database.transact(lambda session, name=f"t{n}": work(session, name)) for n in range(10)),  # type: ignore[misc]
        return_exceptions=True,
    )

    assert [str(outcome) for outcome in outcomes if outcome] == ["t3", "t7"]
    assert await tenants(database) == {f"t{n}" for n in range(10)} - {"t3", "t7"}


async def test_a_row_that_is_really_there_twice_is_an_error_in_the_end(database: Database) -> None:
    await database.transact(lambda session: add(session, "x"))

    with pytest.raises(IntegrityError):
        await database.transact(lambda session: add(session, "x"))


async def test_what_a_read_writes_is_thrown_away(database: Database) -> None:
    async with database.read() as session:
        await add(session, "x")

    assert await tenants(database) == set()
    await database.transact(lambda session: add(session, "y"))
    assert await tenants(database) == {"y"}


@pytest.mark.parametrize("after_ms", [0, 0.2, 0.5, 1, 1.5, 2, 3, 4, 6, 10])
async def test_a_cancelled_unit_is_done_whole_or_not_at_all_and_the_next_one_runs(
    database: Database, after_ms: float
) -> None:
    """Cancelled before BEGIN, in the middle, at the commit."""

    async def work(session: AsyncSession) -> None:
        await add(session, "x")
        await add(session, "y")

    unit = asyncio.create_task(database.transact(work))
    await asyncio.sleep(after_ms / 1000)
    unit.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await unit

    assert await database.transact(lambda session: add(session, "z")) == "z"
    assert await tenants(database) in ({"z"}, {"x", "y", "z"})


async def test_a_unit_cancelled_while_another_runs_leaves_that_one_alone(
    database: Database,
) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(session: AsyncSession) -> None:
        await add(session, "slow")
        entered.set()
        await leave.wait()

    running = asyncio.create_task(database.transact(slow))
    await entered.wait()
    waiting = [
        asyncio.create_task(database.transact(lambda session, name=f"w{n}": add(session, name)))  # type: ignore[misc]
        for n in range(5)
    ]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[3].cancel()
    leave.set()
    await asyncio.gather(running, *waiting, return_exceptions=True)

    assert {"slow", "w1", "w2", "w4"} <= await tenants(database)


async def test_a_unit_whose_caller_gave_up_while_it_ran_does_not_hold_the_others_up(
    database: Database,
) -> None:
    async def slow(session: AsyncSession) -> None:
        await add(session, "slow")
        await asyncio.sleep(0.2)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await database.transact(slow)

    async with asyncio.timeout(5):
        await asyncio.gather(
            *(database.transact(lambda session, n=n: add(session, f"t{n}")) for n in range(20))  # type: ignore[misc]
        )
    assert {f"t{n}" for n in range(20)} <= await tenants(database)


async def test_a_unit_that_waited_for_something_cancelled_takes_no_other_with_it(
    database: Database,
) -> None:
    async def cancelled(session: AsyncSession) -> None:
        await add(session, "x")
        raise asyncio.CancelledError

    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(
            database.transact(lambda session: add(session, "a")),
            database.transact(cancelled),
            database.transact(lambda session: add(session, "b")),
            return_exceptions=True,
        )

    assert [type(outcome) for outcome in outcomes] == [str, asyncio.CancelledError, str]
    assert await tenants(database) == {"a", "b"}


async def test_two_processes_units_queue_for_each_other(sqlite: Database) -> None:
    """A second Database is what another process has: connections of its own to the file."""
    other = Database(sqlite.url)

    async def count_up(session: AsyncSession) -> None:
        found = await session.scalar(text("SELECT count(*) FROM tenants"))
        await asyncio.sleep(0.001)
        await add(session, f"t{found}")

    await asyncio.gather(
        *(which.transact(count_up) for _ in range(15) for which in (sqlite, other))
    )

    assert len(await tenants(sqlite)) == 30
    await other.close()


async def test_a_unit_that_loses_its_connection_is_run_again(postgresql: Database) -> None:
    tries = 0

    async def work(session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        await add(session, "x")
        if tries == 1:
            await kill_connection(postgresql, session)
        await add(session, "y")

    await postgresql.transact(work)

    assert tries == 2
    assert postgresql.units_run_again == Counter({CONNECTION_LOST: 1})
    assert await tenants(postgresql) == {"x", "y"}


async def test_a_unit_that_loses_its_connection_at_the_commit_is_not_run_again(
    postgresql: Database,
) -> None:
    """Nobody knows whether it was done: the caller asks again under the same key."""
    tries = 0

    async def work(session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        await add(session, "x")
        await kill_connection(postgresql, session)

    with pytest.raises(DBAPIError):
        await postgresql.transact(work)

    assert tries == 1
    assert await tenants(postgresql) == set()


async def test_units_that_wait_for_each_other_in_a_circle_are_both_done(
    postgresql: Database,
) -> None:
    both = asyncio.Barrier(2)

    async def work(session: AsyncSession, first: str, second: str) -> None:
        await rename(session, first)
        if not postgresql.units_run_again:
            await both.wait()
        await rename(session, second)

    for name in ("x", "y"):
        await postgresql.transact(lambda session, name=name: add(session, name))  # type: ignore[misc]
    await asyncio.gather(
        postgresql.transact(lambda session: work(session, "x", "y")),
        postgresql.transact(lambda session: work(session, "y", "x")),
    )

    assert set(postgresql.units_run_again) == {"40P01"}  # Twice, where the loser was quick.


async def test_the_relay_is_woken_only_by_a_commit(database: Database) -> None:
    async def announce(session: AsyncSession, *, fail: bool) -> None:
        await add(session, "x")
        session.info[DELIVERIES_ADDED] = True
        if fail:
            raise RuntimeError("no delivery after all")

    ear = database.bell.ear()
    with pytest.raises(RuntimeError):
        await database.transact(lambda session: announce(session, fail=True))
    assert not await is_rung(ear)

    await database.transact(lambda session: announce(session, fail=False))
    assert await is_rung(ear)


async def add(session: AsyncSession, name: str) -> str:
    session.add(Tenant(id=name, name=name))
    await session.flush()
    return name


async def rename(session: AsyncSession, name: str) -> None:
    await session.execute(text("UPDATE tenants SET name = id WHERE id = :id"), {"id": name})


async def tenants(database: Database) -> set[str]:
    async with database.read() as session:
        found = await session.scalars(text("SELECT id FROM tenants WHERE id <> 'ten_test'"))
        return set(found)


async def kill_connection(database: Database, session: AsyncSession) -> None:
    pid = await session.scalar(text("SELECT pg_backend_pid()"))
    async with database.read() as other:
        await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})


async def is_rung(ear: Ear) -> bool:
    waiting = asyncio.create_task(ear.wait(10))
    await asyncio.sleep(0.05)
    rung = waiting.done()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    return rung

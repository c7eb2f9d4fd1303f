import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text

from runtime.database import Database
from runtime.wakeup import CHANNEL, Bell, Ear, listen_for_ever

SOON_S = 5.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A path short enough for a socket's name, which those of pytest are not always."""
    with tempfile.TemporaryDirectory(prefix="bell") as path:
        yield Path(path)


@pytest_asyncio.fixture
async def listening(folder: Path) -> AsyncIterator[Bell]:
    bell = Bell(folder)
    bell.listen()
    yield bell
    bell.close()


async def test_who_waits_is_woken_by_the_bell() -> None:
    bell = Bell()
    ear = bell.ear()

    waiting = asyncio.create_task(ear.wait(SOON_S))
    await asyncio.sleep(0)
    bell.ring()

    await woken(waiting)


async def test_what_rang_while_nobody_waited_is_heard_once() -> None:
    bell = Bell()
    ear = bell.ear()
    bell.ring()
    bell.ring()

    assert await is_rung(ear)
    assert not await is_rung(ear)


async def test_every_ear_hears_every_ring() -> None:
    bell = Bell()
    ears = [bell.ear(), bell.ear()]

    bell.ring()

    assert [await is_rung(ear) for ear in ears] == [True, True]


async def test_another_process_is_woken_through_the_folder(folder: Path, listening: Bell) -> None:
    ear = listening.ear()

    Bell(folder).ring()

    await woken(asyncio.create_task(ear.wait(SOON_S)))


async def test_many_rings_of_other_processes_wake_once(folder: Path, listening: Bell) -> None:
    ear = listening.ear()

    for _ in range(1_000):  # More than a socket's queue holds.
        Bell(folder).ring()

    await woken(asyncio.create_task(ear.wait(SOON_S)))
    await asyncio.sleep(0.05)
    await ear.wait(0)
    assert not await is_rung(ear)


async def test_a_listener_that_was_killed_is_forgotten(folder: Path, listening: Bell) -> None:
    program = (
        "import asyncio, pathlib, sys, time; from runtime.wakeup import Bell\n"
        "async def main():\n"
        "    Bell(pathlib.Path(sys.argv[1])).listen(); print('listening', flush=True)\n"
        "    time.sleep(60)\n"
        "asyncio.run(main())"
    )
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(folder)), stdout=subprocess.PIPE
    )
    assert killed.stdout is not None
    await killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    await killed.wait()

    Bell(folder).ring()

    assert os.listdir(folder) == [f"relay-{os.getpid()}.sock"]
    await woken(asyncio.create_task(listening.ear().wait(0.01)))


async def test_a_folder_that_takes_no_socket_leaves_polling(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "not there")

    bell.listen()
    bell.ring()
    bell.close()


async def test_a_notification_of_postgresql_is_heard_and_so_is_its_return(
    postgresql: Database,
) -> None:
    bell = Bell()
    ear = bell.ear()
    listener = asyncio.create_task(listen_for_ever(f"{postgresql.url}&ssl=disable", bell))
    await woken(asyncio.create_task(ear.wait(SOON_S)))  # It listens from now on.

    await notify(postgresql)
    await woken(asyncio.create_task(ear.wait(SOON_S)))

    await postgresql.transact(
        lambda session: session.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
        )
    )
    await woken(asyncio.create_task(ear.wait(SOON_S)))  # It listens again.
    await notify(postgresql)
    await woken(asyncio.create_task(ear.wait(SOON_S)))

    listener.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listener


async def notify(database: Database) -> None:
    await database.transact(
        lambda session: session.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))
    )


async def woken(waiting: asyncio.Task[None]) -> None:
    async with asyncio.timeout(SOON_S / 2):
        await waiting


async def is_rung(ear: Ear) -> bool:
    waiting = asyncio.create_task(ear.wait(SOON_S))
    await asyncio.sleep(0.01)
    rung = waiting.done()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    return rung

"""Ring for the relay right after a commit, across tasks and processes.

On PostgreSQL a NOTIFY is part of the transaction. On SQLite every worker listens on a datagram
socket in the data folder. A bell that is not heard costs nothing but time: the relay also polls.
"""

import asyncio
import contextlib
import logging
import os
import socket
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

CHANNEL = "sagapost_deliveries"
LISTEN_AGAIN_S = 1.0
logger = logging.getLogger("sagapost.wakeup")
SOCKET_PATH_MAX = 100  # sockaddr_un holds 108 bytes.


class Ear:
    """One that waits for the bell. What rang while it was busy is heard when it waits again."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.waits_for_places = False

    def hear(self) -> None:
        self._rung.set()

    async def wait(self, timeout_s: float, *, for_places: bool = False) -> None:
        """Return when rung, or after `timeout_s`; with `for_places` also when one became free."""
        self.waits_for_places = for_places
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), timeout_s)
        self.waits_for_places = False
        self._rung.clear()


class Bell:
    """Rung by whoever committed deliveries, heard by the relays that wait."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._ears: list[Ear] = []
        self._socket: socket.socket | None = None
        self._path: Path | None = None

    def ear(self) -> Ear:
        ear = Ear()
        self._ears.append(ear)
        return ear

    def ring(self) -> None:
        """Wake this process's relay, and those of other processes on this machine."""
        self.heard()
        if self._folder is not None and self._socket is None:
            _ring_others(self._folder)

    def ring_for_places(self) -> None:
        """Wake whoever has deliveries in hand that had to wait for those that just ended."""
        for ear in self._ears:
            if ear.waits_for_places:
                ear.hear()

    def listen(self) -> None:
        """Hear other processes too. Without a folder, or where sockets fail, polling remains."""
        if self._folder is None:
            return
        path = self._folder / f"relay-{os.getpid()}.sock"
        if len(str(path)) > SOCKET_PATH_MAX:
            return
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            listening.bind(str(path))
        except OSError:  # Some file systems know no sockets.
            listening.close()
            logger.warning("wakeup.no_socket", extra={"path": str(path)})
            return
        listening.setblocking(False)  # noqa: FBT003
        self._socket, self._path = listening, path
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._heard)

    def heard(self, *_: Any) -> None:
        """Something was committed elsewhere. Also a callback of PostgreSQL's LISTEN."""
        for ear in self._ears:
            ear.hear()

    def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _heard(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(1):
                pass
        self.heard()


def _ring_others(folder: Path) -> None:
    for path in folder.glob("relay-*.sock"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.setblocking(False)  # noqa: FBT003
            try:
                bell.sendto(b"1", str(path))
            except ConnectionRefusedError:  # Of a worker that was killed.
                path.unlink()


async def listen_for_ever(url: str, bell: Bell) -> None:
    """Hear PostgreSQL's NOTIFY until cancelled; a lost connection is made again."""
    arguments = _connect_arguments(url)
    while True:
        try:
            connection = await asyncpg.connect(**arguments)
            try:
                await _listen(connection, bell)
            finally:
                connection.terminate()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            logger.warning("wakeup.listen_lost")
        await asyncio.sleep(LISTEN_AGAIN_S)


def _connect_arguments(url: str) -> dict[str, Any]:
    """What SQLAlchemy would give the driver: a URL's options have names of SQLAlchemy's own."""
    parsed = make_url(url)
    _, arguments = parsed.get_dialect()().create_connect_args(parsed)
    for option in ("prepared_statement_cache_size", "prepared_statement_name_func"):
        arguments.pop(option, None)
    return dict(arguments)


async def _listen(connection: Any, bell: Bell) -> None:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    await connection.add_listener(CHANNEL, bell.heard)
    bell.heard()  # For what was told while nobody listened.
    await lost.wait()

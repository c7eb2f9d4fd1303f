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

CHANNEL = "sagapost_deliveries"
LISTEN_AGAIN_S = 1.0
logger = logging.getLogger("sagapost.wakeup")
SOCKET_PATH_MAX = 100  # sockaddr_un holds 108 bytes.


class Bell:
    """Rung by whoever committed deliveries, heard by the relays that wait."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._rung = asyncio.Event()
        self._socket: socket.socket | None = None
        self._path: Path | None = None

    def ring(self) -> None:
        """Wake this process's relay, and those of other processes on this machine."""
        self._rung.set()
        if self._folder is not None and self._socket is None:
            _ring_others(self._folder)

    async def wait(self, timeout_s: float) -> None:
        """Return when rung, or after `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), timeout_s)
        self._rung.clear()

    def listen(self) -> None:
        """Hear other processes too. Without a folder, or where sockets fail, polling remains."""
        if self._folder is None:
            return
        path = self._folder / f"relay-{os.getpid()}.sock"
        if len(str(path)) > SOCKET_PATH_MAX:
            return
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        self._path = path
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._heard)

    def heard(self, *_: Any) -> None:
        """Something was committed elsewhere. Also a callback of PostgreSQL's LISTEN."""
        self._rung.set()

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
        self._rung.set()


def _ring_others(folder: Path) -> None:
    for path in folder.glob("relay-*.sock"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.setblocking(False)
            bell.sendto(b"1", str(path))


async def listen_for_ever(url: str, bell: Bell) -> None:
    """Hear PostgreSQL's NOTIFY until cancelled; a lost connection is made again."""
    while True:
        try:
            connection = await asyncpg.connect(url.replace("+asyncpg", ""))
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, bell.heard)
            bell.heard()
            await lost.wait()
        except (OSError, asyncpg.PostgresError):
            logger.warning("wakeup.listen_lost")
        await asyncio.sleep(LISTEN_AGAIN_S)

"""A place in the queue for SQLite's one writer, across processes.

SQLite itself lets a waiting process sleep up to 100 ms before it looks again, however soon the
writer is free, and lets the busiest process write again and again. Here whoever waits holds the
*turn*, so a process that has just written queues behind it, and looks every fraction of a
millisecond. SQLite's own lock stays what keeps writers apart: this one only saves time.
"""

import fcntl
import os
import sqlite3
import time
from pathlib import Path

LOOK_EVERY_S = 0.0003
PATIENCE_S = 30.0


class WriterLock:
    """Held by one connection at a time, between its BEGIN and its end."""

    def __init__(self, database: Path) -> None:
        self._turn = _open(database.with_name(f"{database.name}-turn"))
        self._writer = _open(database.with_name(f"{database.name}-writer"))

    def acquire(self) -> None:
        """Raises sqlite3.OperationalError when the writer is not free within PATIENCE_S."""
        give_up_at = time.monotonic() + PATIENCE_S
        _lock(self._turn, give_up_at)
        try:
            _lock(self._writer, give_up_at)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def release(self) -> None:
        """Releasing what is not held is nothing."""
        fcntl.flock(self._writer, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._turn)
        os.close(self._writer)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(descriptor: int, give_up_at: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise sqlite3.OperationalError("database is locked") from None
            time.sleep(LOOK_EVERY_S)
        else:
            return

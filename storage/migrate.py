"""Bring a database to the newest schema. Safe to run again, and by several processes at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic import command
from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic keeps what it is doing in globals.
_one_at_a_time = threading.Lock()


class DatabaseIsNewer(Exception):
    """The schema was made by a newer release: this one would not understand what it finds."""

    def __init__(self, revision: str, newest_known: str) -> None:
        super().__init__(
            f"the database has the schema {revision} of a newer release, and this release knows "
            f"schemas up to {newest_known}: install the newer release, or restore a backup"
        )


def upgrade(url: str) -> None:
    """`url` as SQLAlchemy's async engines take it. All of it is done, or nothing.

    Raises DatabaseIsNewer. Blocks, also where an event loop is running.
    """
    with _one_at_a_time, ThreadPoolExecutor(1) as thread:
        # A thread of its own has no event loop, and Alembic's environment can run one.
        thread.submit(command.upgrade, alembic_config(url), "head").result()


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = url
    return config

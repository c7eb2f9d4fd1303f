"""Alembic's environment: one async engine, one transaction, one migration at a time."""

import asyncio
import contextlib
import sqlite3
import time
from typing import Any

from alembic import context
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel

import storage.account_tables
import storage.bridge_tables
import storage.bulk_tables
import storage.endpoint_tables
import storage.key_expiry
import storage.ledger_tables
import storage.lifecycle_tables
import storage.maintenance_tables
import storage.monitoring_tables
import storage.partner_tables
import storage.payment_intent_tables
import storage.payment_tables
import storage.position_tables
import storage.report_tables
import storage.statuses
import storage.tables
import storage.travel_rule_tables  # noqa: F401 - registers the tables
from storage.migrate import DatabaseIsNewer

ONE_AT_A_TIME = 7_267_437_811  # The key of PostgreSQL's advisory lock.
BUSY_TIMEOUT_S = 60
WAL_AGAIN_S = 0.05


def migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})"))
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    refuse_newer()
    with context.begin_transaction():
        context.run_migrations()


def refuse_newer() -> None:
    known = {script.revision for script in context.script.walk_revisions()}
    for revision in context.get_context().get_current_heads():
        if revision not in known:
            raise DatabaseIsNewer(revision, str(context.script.get_current_head()))


def sqlite_engine(url: str) -> AsyncEngine:
    """An engine whose transactions hold schema changes too, and keep other processes out."""
    engine = create_async_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # The driver would commit before it begins.
        use_wal(connection)

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def use_wal(connection: Any) -> None:
    """So that readers and the writer do not wait for each other. Needs a moment alone, once."""
    end = time.monotonic() + BUSY_TIMEOUT_S
    while time.monotonic() < end:
        with contextlib.suppress(sqlite3.OperationalError):
            connection.cursor().execute("PRAGMA journal_mode = WAL")
            return
        time.sleep(WAL_AGAIN_S)
    raise TimeoutError("the database file is locked by another program")


async def main() -> None:
    url = context.config.attributes["url"]
    engine = sqlite_engine(url) if url.startswith("sqlite") else create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


asyncio.run(main())

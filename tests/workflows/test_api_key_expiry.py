"""API keys that end: warned of at 30, 7 and 1 days, once each, in virtual time."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.key_expiry import SqlKeyExpiryActivities
from domain.api_keys import new_key
from domain.key_expiry import KeyExpiryRequest
from runtime.database import Database
from runtime.key_expiry import expiry_workflow_id
from storage.access_tables import ApiKey
from storage.key_expiry import keys_to_warn_of
from storage.keys import NewKey, make_key, revoke_key, rotate_key
from storage.tables import Event
from storage.types import utc_now
from tests.conftest import TENANT, worker
from workflows.api_key_expiry import ApiKeyExpiry

DAY = timedelta(days=1)


async def a_key(database: Database, ends_in: timedelta | None, **changed: Any) -> ApiKey:
    terms = NewKey(TENANT, "Payments, production", ("read", "write"))
    values = vars(terms) | {"expires_at": utc_now() + ends_in if ends_in else None} | changed
    return await database.transact(lambda session: make_key(session, new_key(), NewKey(**values)))


@asynccontextmanager
async def watching(temporal: Client, database: Database) -> AsyncIterator[str]:
    """A worker whose clock is the server's."""
    queue = uuid4().hex
    clock = SqlKeyExpiryActivities(database, now=lambda: activity.info().started_time)
    async with worker(temporal, queue, [clock]):
        yield queue


async def until_told_of(temporal: Client, queue: str, key: ApiKey) -> None:
    await temporal.execute_workflow(
        ApiKeyExpiry.run,
        KeyExpiryRequest(key.id),
        id=expiry_workflow_id(key.id),
        task_queue=queue,
    )


async def warnings(database: Database) -> list[tuple[int, datetime, dict[str, Any]]]:
    """Each warning's days, when it was told, and all it says."""
    async with database.read() as session:
        query = select(Event).where(col(Event.type) == "system.api_key_expiring")
        events = (await session.scalars(query.order_by(col(Event.id)))).all()
    bodies = [(event, json.loads(event.body or b"{}")["data"]) for event in events]
    return [(data["days_remaining"], event.created_at, data) for event, data in bodies]


async def test_a_key_is_warned_of_three_times(
    skipping: WorkflowEnvironment, sqlite: Database
) -> None:
    key = await a_key(sqlite, 45 * DAY)
    async with watching(skipping.client, sqlite) as queue:
        await until_told_of(skipping.client, queue, key)

    told = await warnings(sqlite)
    assert [days for days, _, _ in told] == [30, 7, 1]
    assert key.expires_at is not None
    for days, told_at, data in told:
        late = told_at - (key.expires_at - days * DAY)
        assert timedelta() <= late < timedelta(minutes=1)
        assert (data["api_key_id"], data["name"]) == (key.id, "Payments, production")
        assert (data["key_prefix"], data["permissions"]) == ("sp_live", ["read", "write"])


@pytest.mark.parametrize(("ends_in", "days"), [(5 * DAY, [5, 1]), (DAY / 2, [1])])
async def test_a_key_that_ends_soon_is_warned_of_at_once_and_once(
    skipping: WorkflowEnvironment, sqlite: Database, ends_in: timedelta, days: list[int]
) -> None:
    key = await a_key(sqlite, ends_in)
    async with watching(skipping.client, sqlite) as queue:
        for _ in range(2):
            await until_told_of(skipping.client, queue, key)

    told = await warnings(sqlite)
    assert [left for left, _, _ in told] == days
    assert told[0][1] - key.created_at < timedelta(minutes=1)


async def test_a_rotated_or_revoked_key_is_warned_of_no_more(
    skipping: WorkflowEnvironment, sqlite: Database
) -> None:
    rotated, revoked = [await a_key(sqlite, 20 * DAY) for _ in range(2)]

    async def see_to_them(session: AsyncSession) -> ApiKey:
        old = await session.get_one(ApiKey, rotated.id)
        new = await rotate_key(session, old, new_key(), overlap=DAY, by="key_test")
        await revoke_key(session, await session.get_one(ApiKey, revoked.id), now=utc_now())
        return new

    await a_key(sqlite, None, scopes=("*",))  # The last that manages keys cannot be revoked.
    new = await sqlite.transact(see_to_them)
    async with watching(skipping.client, sqlite) as queue:
        with skipping.auto_time_skipping_disabled():  # Nothing of them is left to wait for.
            for key in (rotated, revoked):
                await until_told_of(skipping.client, queue, key)
        await until_told_of(skipping.client, queue, new)

    told = await warnings(sqlite)
    assert {data["api_key_id"] for _, _, data in told} == {new.id}
    assert [days for days, _, _ in told] == [20, 7, 1]


async def test_a_key_without_an_end_is_not_watched(
    skipping: WorkflowEnvironment, sqlite: Database
) -> None:
    key = await a_key(sqlite, None)
    async with watching(skipping.client, sqlite) as queue:
        await until_told_of(skipping.client, queue, key)

    assert await warnings(sqlite) == []


async def test_the_sweep_finds_what_is_due_and_nobody_told(database: Database) -> None:
    """On both engines: of each mark that was missed, and of nothing else."""
    now = utc_now()
    due = [await a_key(database, left) for left in (29 * DAY, 6 * DAY, DAY / 2)]
    await a_key(database, 31 * DAY)
    await a_key(database, None)
    await a_key(database, 30 * DAY)  # It was reached this moment: its workflow is about to tell.

    async def found() -> list[str]:
        async with database.read() as session:
            missed = now - timedelta(minutes=1)
            return [key.id for key in await keys_to_warn_of(session, due_before=missed, now=now)]

    assert await found() == [key.id for key in reversed(due)]

    for key in due:
        await SqlKeyExpiryActivities(database).warn_of_expiry(KeyExpiryRequest(key.id))

    assert await found() == []

"""Defects found in other senders that no test elsewhere would notice here."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from temporalio.client import Client

from domain.catalogue import YieldHarvested
from runtime.database import Database
from runtime.settings import Settings
from storage.tables import Delivery
from storage.types import utc_now
from tests.hooks import hook
from tests.lifecycle import House, eventually, lifecycle_settings, own_queue, sending

HANGS_S = 4.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return lifecycle_settings(tmp_path, delivery_lease="1s")


async def test_the_lock_on_what_is_being_sent_outlasts_the_receivers_time(
    house: House, temporal: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease of one second and a receiver that takes four: the claim is kept while it is sent."""
    queue = own_queue(monkeypatch)
    monkeypatch.setattr("activities.webhooks.HEARTBEAT_EVERY_S", 0.3)
    async with (
        hook(lambda _: HANGS_S) as receiver,
        sending(house, temporal, settings, queue),
    ):
        await house.endpoint(url=receiver.url)
        await house.publish(3)

        await eventually(lambda: is_kept_for(house, timedelta(seconds=30)), within_s=HANGS_S - 1)
        await eventually(lambda: has_succeeded(house, 3))

    assert len(receiver.got) == len(set(receiver.ids)) == 3
    assert await house.value("SELECT count(*) FROM attempts") == 3


async def test_the_database_leaves_the_order_of_a_payloads_keys_alone(database: Database) -> None:
    house = House(database)
    await house.publish(1)

    [row] = await house.rows("SELECT body FROM events")

    assert list(json.loads(bytes(row.body))["data"]) == list(YieldHarvested.model_fields)


async def is_kept_for(house: House, long: timedelta) -> bool:
    async with house.database.read() as session:
        rows = (await session.scalars(select(Delivery))).all()
    return all(row.claimed_until and row.claimed_until > utc_now() + long for row in rows)


async def has_succeeded(house: House, number: int) -> bool:
    query = "SELECT count(*) FROM deliveries WHERE state = 'succeeded'"
    return bool(await house.value(query) == number)

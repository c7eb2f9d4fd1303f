"""Days of retries and probes in seconds: on the time-skipping server, with a receiver that is real.

The activities' clock is the server's. Nothing else here knows that time is not what it seems.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.addressees import AddressBook
from activities.recoveries import HttpRecoveryActivities
from activities.sender import Clock, Sender
from activities.webhooks import HttpWebhookActivities
from domain.batch import Claimed
from domain.delivery import STANDARD_SCHEDULE
from domain.health import DISABLE_AFTER
from runtime.http import WebhookClient
from runtime.policy import url_policy
from runtime.retries import Retried, start_claim, start_recovery, start_retry
from storage import claims, health, lanes
from storage.claims import Limits
from storage.redelivery import By
from storage.types import utc_now
from tests.conftest import TENANT, worker
from tests.hooks import Hook, hook
from tests.lifecycle import House, lifecycle_settings, own_queue

SECOND = timedelta(seconds=1)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Hook]:
    async with hook(lambda _: 503) as receiver:
        yield receiver


async def test_the_whole_schedule_of_three_days_runs_and_ends_in_a_dead_letter(
    skipping: WorkflowEnvironment,
    house: House,
    receiver: Hook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await house.endpoint(url=receiver.url)
    await house.publish(1)
    async with delivering(skipping.client, house, tmp_path, own_queue(monkeypatch)):
        await (await start_claim(skipping.client, await claim(house))).result()
        run = await start_retry(skipping.client, await the_delivery(house))
        assert await run.result() == "exhausted"

    sent_at = await times(house, "SELECT sent_at FROM attempts ORDER BY number")
    assert len(sent_at) == 10
    waits = [later - at for at, later in pairwise(sent_at)]
    for wait, scheduled in zip(waits, STANDARD_SCHEDULE, strict=True):
        assert scheduled <= wait < scheduled + 5 * SECOND
    assert timedelta(hours=75, minutes=35) <= sent_at[-1] - sent_at[0] < timedelta(hours=76)
    [row] = await house.rows("SELECT state, reason, attempts FROM deliveries")
    assert tuple(row) == ("dead_lettered", "exhausted", 10)
    assert len((await run.fetch_history()).events) <= 11
    stamps = [int(got.headers["webhook-timestamp"]) for got in receiver.got]
    assert stamps[-1] - stamps[0] >= 75 * 3600


async def test_after_five_days_without_a_success_it_is_disabled_and_nothing_is_lost(
    skipping: WorkflowEnvironment,
    house: House,
    receiver: Hook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver.answer = lambda got: 503 if got.path == "/failing" else 200
    await house.tenant("stranger")
    failing = await house.endpoint(url=receiver.url + "failing", event_types=["yield.harvested"])
    other = await house.endpoint(url=receiver.url + "other", event_types=["system.*"])
    await house.endpoint(tenant_id="stranger", url=receiver.url)
    await house.publish(20)
    queue = own_queue(monkeypatch)
    async with delivering(skipping.client, house, tmp_path, queue):
        await (await start_claim(skipping.client, await claim(house))).result()
        run = await start_recovery(skipping.client, failing.id, TENANT)
        assert await run.result() == "given_up"

    await assert_warned_of(house, failing.id)
    assert await states_of(house, failing.id) == {"parked": 20}
    assert await states_of(house, other.id) == {"pending": 4}
    assert len((await run.fetch_history()).events) <= 11
    query = "SELECT health, disabled_reason FROM endpoints WHERE id = :id"
    [row] = await house.rows(query, id=failing.id)
    assert tuple(row) == ("disabled", "failing_for_5_days")

    receiver.answer = lambda _: 200
    await enable(house, failing.id)
    async with delivering(skipping.client, house, tmp_path, queue):
        await (await start_recovery(skipping.client, failing.id, TENANT)).result()
        await deliver_all(skipping.client, house)
    assert await states_of(house, failing.id) == {"succeeded": 20}


async def assert_warned_of(house: House, endpoint_id: str) -> None:
    """At 50, 75 and 100 percent of five days, to the minute; and to its own tenant only."""
    [begin] = await times(house, "SELECT min(sent_at) FROM attempts")
    news = await house.rows(
        "SELECT type, tenant_id, created_at, body FROM events WHERE type LIKE 'system.%'"
        " ORDER BY id"
    )
    *warned, alert = news
    assert [row.type for row in warned] == ["system.status_change"] * 3
    assert alert.type == "system.security_alert"
    assert {row.tenant_id for row in news} == {TENANT}
    for row, percent in zip(warned, (50, 75, 100), strict=True):
        due = begin + DISABLE_AFTER * percent / 100
        assert due <= aware(row.created_at) < due + timedelta(minutes=1)
        assert f'"percent":{percent}'.encode() in row.body
        assert endpoint_id.encode() in row.body


@asynccontextmanager
async def delivering(
    temporal: Client, house: House, folder: Path, queue: str
) -> AsyncIterator[None]:
    """The workers, without a relay: its clock would be the wall's."""
    settings = lifecycle_settings(folder)
    addresses = AddressBook(house.vault, schedule=STANDARD_SCHEDULE)
    clock = Clock(now=lambda: activity.info().started_time, jitter=lambda: 0.0)
    async with WebhookClient(url_policy(settings)) as http:
        sender = Sender(house.database, http, addresses, temporal, clock=clock)
        webhooks = HttpWebhookActivities(sender)
        retries = (webhooks, HttpRecoveryActivities(sender))
        async with (
            worker(temporal, queue, [webhooks]),
            worker(temporal, f"{queue}-retries", retries),
        ):
            yield


async def claim(house: House) -> Claimed:
    async with house.database.read() as session:
        look = await lanes.look(session, "", slow=False)
    taken = await house.database.transact(
        lambda session: claims.claim(
            session,
            look.lanes,
            lanes.Turns(),
            Limits(64, timedelta(days=30)),
            now=utc_now(),
        )
    )
    assert taken.claimed is not None
    return taken.claimed


async def the_delivery(house: House) -> Retried:
    """Started again, a run that goes on already gives a handle whose waiting skips time."""
    [row] = await house.rows("SELECT id, endpoint_id, tenant_id, event_type FROM deliveries")
    return Retried(*row)


async def enable(house: House, endpoint_id: str) -> None:
    by = By("key_ops", "mended")
    await house.database.transact(
        lambda session: health.enable(session, endpoint_id, by, now=utc_now() + timedelta(days=6))
    )


async def deliver_all(temporal: Client, house: House) -> None:
    while await house.value("SELECT count(*) FROM deliveries WHERE state = 'pending'"):
        await (await start_claim(temporal, await claim(house))).result()


async def states_of(house: House, endpoint_id: str) -> dict[str, int]:
    rows = await house.rows(
        "SELECT state, count(*) FROM deliveries WHERE endpoint_id = :id GROUP BY state",
        id=endpoint_id,
    )
    return {state: number for state, number in rows}


async def times(house: House, query: str) -> list[datetime]:
    return [aware(row[0]) for row in await house.rows(query)]


def aware(found: Any) -> datetime:
    """SQLite gives text to whoever asks in text."""
    moment = datetime.fromisoformat(found) if isinstance(found, str) else found
    return moment.replace(tzinfo=UTC)

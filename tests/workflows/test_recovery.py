"""Endpoints that fail, and recover: parked, probed, drained, warned of, disabled, enabled."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.service import RPCError

from domain.control import DeliveryStateConflict
from runtime.delivery_control import DeliveryControl
from runtime.settings import Settings
from storage import health
from storage.health import Parked
from storage.redelivery import By
from storage.types import utc_now
from tests.hooks import Hook, hook
from tests.lifecycle import House, are, eventually, lifecycle_settings

BY = By("key_ops", "the receiver is mended")
BALANCE = "account.balance_updated"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return lifecycle_settings(tmp_path, retry_schedule="200ms,500ms,500ms,500ms,500ms,500ms")


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Hook]:
    async with hook(lambda _: 500) as receiver:
        yield receiver


@pytest.mark.usefixtures("running")
async def test_an_outage_costs_one_open_workflow_and_loses_nothing(
    house: House, temporal: Client, receiver: Hook
) -> None:
    endpoint = await house.endpoint(url=receiver.url)
    before = await house.publish(40)
    await eventually(partial(is_health, house, "parked"))
    meanwhile = await house.publish(200)
    await eventually(partial(are, house, "parked", 240))
    await eventually(partial(came, receiver, 42))  # Two probes at least.
    assert await open_runs(temporal, house) == [f"endpoint/{endpoint.id}/recovery"]
    sent_while_parked = len(receiver.got)

    receiver.answer = lambda _: 200
    await eventually(partial(are, house, "succeeded", 240))

    await eventually(partial(is_health, house, "healthy"))
    delivered = receiver.ids[sent_while_parked:]
    assert sorted(delivered) == sorted(before + meanwhile), "each once, none lost"
    assert await triggers(house) >= {"schedule", "probe"}
    await eventually(partial(has_no_open_runs, temporal, house))
    handle = temporal.get_workflow_handle(f"endpoint/{endpoint.id}/recovery")
    assert len((await handle.fetch_history()).events) <= 11
    assert await house.value("SELECT count(*) FROM deliveries WHERE attempts > 10") == 0


@pytest.mark.usefixtures("running")
async def test_while_parked_there_is_one_probe_at_a_time_and_no_herd_afterwards(
    house: House, receiver: Hook
) -> None:
    await house.endpoint(url=receiver.url)
    await house.publish(60)
    await eventually(partial(is_health, house, "parked"))
    await eventually(partial(are, house, "parked", 60))
    first = len(receiver.got)
    receiver.at_once_max = 0
    await eventually(partial(came, receiver, first + 2))

    assert receiver.at_once_max == 1
    probed = [got.event_id for got in receiver.got[first : first + 2]]
    assert len({*probed}) == 2, "another one each time: one alone may be what it chokes on"

    receiver.answer = lambda _: 200
    await eventually(partial(are, house, "succeeded", 60))
    batches = [later.at - got.at > 0.5 for got, later in pairwise(receiver.got[first + 2 :])]
    assert sum(batches) >= 2, "sixteen, then thirty-two, then the rest"


@pytest.mark.usefixtures("running")
async def test_it_drains_in_order_and_new_events_come_behind(house: House, receiver: Hook) -> None:
    await house.endpoint(url=receiver.url, ordering="per_key", ordering_key="data.account_uuid")
    lines: dict[str, list[str]] = {f"a{number:02}": [] for number in range(12)}

    async def publish_one_each() -> None:
        for key in lines:
            lines[key] += await house.publish(1, BALANCE, account_uuid=key)

    await publish_one_each()
    await eventually(partial(is_health, house, "parked"))
    await publish_one_each()
    await publish_one_each()
    receiver.answer = lambda _: 200
    await eventually(partial(is_health, house, "recovering", "healthy"))
    await publish_one_each()

    await eventually(partial(are, house, "succeeded", 48))
    for line in lines.values():
        assert list(dict.fromkeys(id for id in receiver.ids if id in line)) == line


@pytest.mark.usefixtures("running")
async def test_redelivering_one_of_a_parked_endpoint_probes_with_it_at_once(
    house: House, receiver: Hook, control: DeliveryControl
) -> None:
    await house.endpoint(url=receiver.url, retry_schedule="1h,1h")
    await house.publish(20)
    await eventually(partial(is_health, house, "parked"))
    await eventually(partial(parked_at_least, house, 1))
    chosen = await house.value("SELECT max(id) FROM deliveries WHERE state = 'parked'")
    receiver.answer = lambda _: 200

    await control.redeliver(chosen, BY)

    await eventually(partial(is_delivered, house, chosen))
    await eventually(partial(is_health, house, "recovering", "healthy"))
    query = "SELECT trigger FROM attempts WHERE delivery_id = :id ORDER BY number DESC LIMIT 1"
    assert await house.value(query, id=chosen) == "manual"


@pytest.mark.usefixtures("running")
async def test_one_events_retries_do_not_stop_the_endpoint(house: House, receiver: Hook) -> None:
    await house.endpoint(url=receiver.url, retry_schedule=",".join(["50ms"] * 14))
    [poison] = await house.publish(1)
    await eventually(partial(are, house, "dead_lettered", 1))
    assert receiver.ids == [poison] * 15
    receiver.answer = lambda _: 200

    await house.publish(1)

    await eventually(partial(are, house, "succeeded", 1))
    assert not await is_health(house, "parked", "disabled")


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("parked", "sent"), [("drain", 30), ("skip", 0), ("newest_per_key", 3)])
async def test_what_was_parked_goes_as_whoever_enables_it_says(
    house: House, receiver: Hook, control: DeliveryControl, parked: Parked, sent: int
) -> None:
    receiver.answer = lambda _: 200
    endpoint = await house.endpoint(
        url=receiver.url, ordering="per_key", ordering_key="data.account_uuid"
    )
    await disable(house, endpoint.id)
    newest: dict[str, str] = {}
    for number in range(30):
        key = f"a{number % 3}"
        [newest[key]] = await house.publish(1, BALANCE, account_uuid=key)

    await enable(house, control, endpoint.id, parked)
    [fresh] = await house.publish(1, BALANCE, account_uuid="new")

    await eventually(partial(are, house, "succeeded", sent + 1))
    assert await are(house, "cancelled", 30 - sent)
    assert fresh in receiver.ids
    if parked == "newest_per_key":
        assert {*newest.values()} == {*receiver.ids} - {fresh}
    told = await house.rows("SELECT DISTINCT actor, to_state FROM delivery_changes")
    assert [tuple(row) for row in told] == ([(BY.actor, "cancelled")] if sent < 30 else [])


@pytest.mark.usefixtures("running")
async def test_410_disables_parks_the_rest_and_tells_the_tenants_other_endpoints_only(
    house: House, receiver: Hook, control: DeliveryControl
) -> None:
    receiver.answer = lambda got: 410 if got.path == "/gone" else 200
    await house.tenant("stranger")
    gone = await house.endpoint(url=receiver.url + "gone", max_in_flight=1)
    other = await house.endpoint(url=receiver.url + "other", event_types=["system.*"])
    stranger = await house.endpoint(tenant_id="stranger", url=receiver.url + "stranger")
    await house.publish(5)

    await eventually(partial(is_health, house, "disabled"))
    await eventually(partial(are, house, "parked", 4))
    alerts = partial(came, receiver, 2)
    await eventually(alerts)

    assert [got.path for got in receiver.got] == ["/gone", "/other"]
    rows = await house.rows(
        "SELECT endpoint_id, deliveries.event_type FROM deliveries"
        " JOIN events ON events.id = event_id WHERE events.type = 'system.security_alert'"
    )
    assert [tuple(row) for row in rows] == [(other.id, "system.security_alert")]
    [row] = await house.rows("SELECT state, reason FROM deliveries WHERE state = 'dead_lettered'")
    assert row.reason == "gone"
    waiting = await house.value("SELECT min(id) FROM deliveries WHERE state = 'parked'")
    with pytest.raises(DeliveryStateConflict, match="enable it first"):
        await control.redeliver(waiting, BY)
    assert gone.tenant_id != stranger.tenant_id


@pytest.mark.usefixtures("running")
async def test_ten_thousand_parked_arrive_once_at_the_rate_with_one_open_workflow(
    house: House, temporal: Client, receiver: Hook, control: DeliveryControl
) -> None:
    receiver.answer = lambda _: 200
    per_minute = 60_000
    endpoint = await house.endpoint(
        url=receiver.url, max_in_flight=1_000, rate_limit_per_minute=per_minute
    )
    await disable(house, endpoint.id)
    for _ in range(20):
        await house.publish(500)
    begin = time.time()

    await enable(house, control, endpoint.id, "drain")
    most_open = 0
    while not await are(house, "succeeded", 10_000):
        recoveries = [run for run in await open_runs(temporal, house) if "recovery" in run]
        most_open = max(most_open, len(recoveries))
        await asyncio.sleep(0.5)
        assert time.time() < begin + 100, await states(house)

    assert most_open == 1
    assert len(receiver.got) == len({*receiver.ids}) == 10_000
    times = [got.at for got in receiver.got]
    for first in range(0, 10_000, 500):
        within_a_second = sum(times[first] <= at < times[first] + 1 for at in times)
        assert within_a_second <= 2 * per_minute / 60
    await eventually(partial(is_health, house, "healthy"))


async def disable(house: House, endpoint_id: str) -> None:
    await house.database.transact(
        lambda session: health.disable(session, endpoint_id, "by_owner", now=utc_now())
    )


async def enable(house: House, control: DeliveryControl, endpoint_id: str, parked: Parked) -> None:
    """As the API does."""
    is_left = await house.database.transact(
        lambda session: health.enable(session, endpoint_id, BY, parked=parked, now=utc_now())
    )
    if is_left:
        await control.recover(endpoint_id)


async def is_health(house: House, *healths: str) -> bool:
    rows = await house.rows("SELECT health FROM endpoints ORDER BY id")
    return any(row.health in healths for row in rows)


async def parked_at_least(house: House, number: int) -> bool:
    return (await states(house)).get("parked", 0) >= number


async def states(house: House) -> dict[str, int]:
    rows = await house.rows("SELECT state, count(*) FROM deliveries GROUP BY state")
    return {state: number for state, number in rows}


async def came(receiver: Hook, number: int) -> bool:
    return len(receiver.got) >= number


async def is_delivered(house: House, id: str) -> bool:
    query = "SELECT state FROM deliveries WHERE id = :id"
    return bool(await house.value(query, id=id) == "succeeded")


async def triggers(house: House) -> set[str]:
    return {row.trigger for row in await house.rows("SELECT DISTINCT trigger FROM attempts")}


async def has_no_open_runs(temporal: Client, house: House) -> bool:
    return not await open_runs(temporal, house)


async def open_runs(temporal: Client, house: House) -> list[str]:
    """The runs of this test that are open: retries and recoveries."""
    ids = [f"delivery/{row.id}" for row in await house.rows("SELECT id FROM deliveries")]
    endpoints = await house.rows("SELECT id FROM endpoints")
    ours = {*ids, *(f"endpoint/{row.id}/recovery" for row in endpoints)}
    found: list[Any] = []
    try:
        async for run in temporal.list_workflows("ExecutionStatus = 'Running'"):
            found += [run.id] if run.id in ours else []
    except RPCError:
        return await open_runs(temporal, house)
    return found

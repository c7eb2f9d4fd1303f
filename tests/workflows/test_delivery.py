"""Deliveries as they run: a relay, workers, a Temporal server and receivers that are real."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.control import DeliveryStateConflict
from runtime.delivery_control import DeliveryControl
from runtime.settings import Settings
from storage.redelivery import By
from tests.hooks import Hook, hook
from tests.lifecycle import House, are, eventually, lifecycle_settings, sending, triggers, waits

BY = By("key_ops", "asked for on the phone")
LONG = "1h,1h"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return lifecycle_settings(tmp_path, retry_schedule="100ms,200ms,200ms,200ms")


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Hook]:
    async with hook() as receiver:
        yield receiver


@pytest.mark.usefixtures("running")
async def test_a_batch_costs_eleven_history_events_whatever_becomes_of_it(
    house: House, temporal: Client, receiver: Hook
) -> None:
    receiver.answer = lambda got: 500 if got.count == 1 and got.event_id in failing else 200
    await house.endpoint(url=receiver.url)
    events = await house.publish(8)
    failing = set(events[:4])

    await settled(house, 8)

    claims = await house.rows("SELECT DISTINCT claim_id FROM deliveries")
    for claim in claims:
        assert await history_length(temporal, f"claim/{claim.claim_id}") <= 11
    for row in await house.rows("SELECT id FROM deliveries WHERE attempts = 2"):
        await eventually(partial(ended, temporal, f"delivery/{row.id}"))
        assert await history_length(temporal, f"delivery/{row.id}") <= 11


@pytest.mark.usefixtures("running")
async def test_a_retry_does_not_wait_for_the_slowest_of_its_batch(
    house: House, receiver: Hook
) -> None:
    slow, flaky = "/slow", "/flaky"
    receiver.answer = lambda got: 6.0 if got.path == slow else 500 if got.count < 3 else 200
    await house.endpoint(url=receiver.url + slow[1:])
    await house.endpoint(url=receiver.url + flaky[1:])
    await house.publish(1)

    await eventually(lambda: is_state(house, "succeeded"), within_s=5)

    assert receiver.at_once == 1, "the slow one is still being sent"


@pytest.mark.usefixtures("running")
async def test_every_attempt_has_the_same_id_and_bytes_and_a_timestamp_of_its_own(
    house: House, receiver: Hook
) -> None:
    receiver.answer = lambda got: 500 if got.count == 1 else 200
    await house.endpoint(url=receiver.url, retry_schedule="2s")
    await house.publish(1)

    await settled(house, 1)

    first, second = receiver.got
    assert first.event_id == second.event_id
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) >= int(first.headers["webhook-timestamp"]) + 1
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    traces = [got.headers["traceparent"].split("-")[1:3] for got in (first, second)]
    assert traces[0][0] == traces[1][0]
    assert traces[0][1] != traces[1][1]


@pytest.mark.usefixtures("running")
async def test_no_transaction_is_open_while_a_receiver_hangs(house: House, receiver: Hook) -> None:
    receiver.answer = lambda _: 3.0
    await house.endpoint(url=receiver.url)
    await house.publish(1)
    await eventually(lambda: at_once(receiver, 1))

    begin = time.monotonic()
    await house.publish(1)

    assert receiver.at_once >= 1
    assert time.monotonic() - begin < 2


@pytest.mark.usefixtures("running")
async def test_redelivering_a_waiting_retry_runs_it_now_as_the_next_attempt(
    house: House, temporal: Client, receiver: Hook, control: DeliveryControl
) -> None:
    receiver.answer = lambda got: 500 if got.count == 1 else 200
    await house.endpoint(url=receiver.url, retry_schedule=LONG)
    delivery_id = await one_that_is(house, "retrying")
    await eventually(partial(waits, temporal, delivery_id))
    run = temporal.get_workflow_handle(f"delivery/{delivery_id}")
    before = (await run.describe()).run_id

    changed = await control.redeliver(delivery_id, BY)

    assert changed.state == "retrying"
    await settled(house, 1)
    assert await run.result() == "delivered"
    assert (await run.describe()).run_id == before, "it is the run that was waiting"
    attempts = await house.rows("SELECT number, trigger FROM attempts ORDER BY number")
    assert [tuple(row) for row in attempts] == [(1, "schedule"), (2, "manual")]
    assert await changes(house) == [("retrying", "retrying", BY.reason, BY.actor)]


@pytest.mark.usefixtures("running")
async def test_cancelling_a_waiting_retry_ends_its_run(
    house: House, temporal: Client, receiver: Hook, control: DeliveryControl
) -> None:
    receiver.answer = lambda _: 500
    await house.endpoint(url=receiver.url, retry_schedule=LONG)
    delivery_id = await one_that_is(house, "retrying")

    await control.cancel(delivery_id, BY)

    await eventually(lambda: ended(temporal, f"delivery/{delivery_id}"))
    description = await temporal.get_workflow_handle(f"delivery/{delivery_id}").describe()
    assert description.status is WorkflowExecutionStatus.CANCELED
    assert await is_state(house, "cancelled")
    with pytest.raises(DeliveryStateConflict, match="it is cancelled"):
        await control.cancel(delivery_id, BY)


@pytest.mark.usefixtures("running")
async def test_cancelling_what_is_on_its_way_keeps_the_attempt_and_the_person_s_word(
    house: House, receiver: Hook, control: DeliveryControl
) -> None:
    receiver.answer = lambda _: 1.0
    await house.endpoint(url=receiver.url)
    await house.publish(1)
    await eventually(lambda: at_once(receiver, 1))
    [row] = await house.rows("SELECT id FROM deliveries")

    await control.cancel(row.id, BY)

    await eventually(lambda: has_attempts(house, 1))
    [row] = await house.rows("SELECT state, attempts FROM deliveries")
    assert tuple(row) == ("cancelled", 1)


@pytest.mark.usefixtures("running")
async def test_a_paused_retry_waits_for_its_person_and_goes_on_with_its_number(
    house: House, temporal: Client, receiver: Hook, control: DeliveryControl
) -> None:
    receiver.answer = lambda got: 500 if got.count == 1 else 200
    await house.endpoint(url=receiver.url, retry_schedule="6s")
    delivery_id = await one_that_is(house, "retrying")
    await eventually(lambda: pending_activities(temporal, f"delivery/{delivery_id}"))

    await control.pause(delivery_id, BY)
    [first] = receiver.got
    await asyncio.sleep(max(0, first.at + 7 - time.time()))  # Until it would long have been sent.
    assert len(receiver.got) == 1
    [activity] = await pending_activities(temporal, f"delivery/{delivery_id}")
    assert activity.paused

    await control.resume(delivery_id, BY)
    await settled(house, 1)
    assert await house.value("SELECT max(number) FROM attempts") == 2


@pytest.mark.usefixtures("running")
async def test_pausing_what_is_on_its_way_stops_it_after_this_attempt(
    house: House, receiver: Hook, control: DeliveryControl
) -> None:
    receiver.answer = lambda got: 500 if got.count == 1 else 200
    receiver.holds_back_s = 0.5
    await house.endpoint(url=receiver.url)
    await house.publish(1)
    await eventually(lambda: at_once(receiver, 1))
    delivery_id = await house.value("SELECT id FROM deliveries")

    changed = await control.pause(delivery_id, BY)

    assert changed.state == "claimed"
    await eventually(lambda: is_state(house, "parked", hold="paused"))
    assert await has_attempts(house, 1)

    await control.resume(delivery_id, BY)
    await settled(house, 1)


@pytest.mark.usefixtures("running")
async def test_a_success_is_sent_again_under_the_same_id_when_a_person_says_so(
    house: House, receiver: Hook, control: DeliveryControl
) -> None:
    """No idempotency of ours stands in the way: the receiver's key is `webhook-id`."""
    await house.endpoint(url=receiver.url)
    delivery_id = await one_that_is(house, "succeeded")

    for _ in range(2):
        await control.redeliver(delivery_id, BY)
        await eventually(lambda: is_state(house, "succeeded"))

    assert len(receiver.got) == 3
    assert len(set(receiver.ids)) == 1
    assert await triggers(house) == ["schedule", "manual", "manual"]


@pytest.mark.usefixtures("running")
async def test_a_dead_letter_is_redelivered_once_and_not_on_the_schedule(
    house: House, receiver: Hook, control: DeliveryControl
) -> None:
    receiver.answer = lambda _: 500
    await house.endpoint(url=receiver.url, retry_schedule="100ms")
    delivery_id = await one_that_is(house, "dead_lettered")
    assert await house.value("SELECT attempts FROM deliveries") == 2

    await control.redeliver(delivery_id, BY)

    await eventually(lambda: has_attempts(house, 3))
    await eventually(lambda: is_state(house, "dead_lettered"))


@pytest.mark.usefixtures("running")
async def test_an_event_type_may_have_a_retry_schedule_of_its_own(
    house: House, receiver: Hook
) -> None:
    receiver.answer = lambda _: 500
    await house.endpoint(
        url=receiver.url, retry_schedule=LONG, retry_schedules={"*": "100ms", "account.*": ""}
    )
    await house.publish(1, "account.balance_updated")
    await house.publish(1, "yield.harvested")

    await eventually(lambda: has_attempts(house, 3))
    await eventually(lambda: both_are(house, "dead_lettered"))
    rows = await house.rows("SELECT event_type, attempts FROM deliveries ORDER BY event_type")
    assert [tuple(row) for row in rows] == [("account.balance_updated", 1), ("yield.harvested", 2)]


@pytest.mark.usefixtures("running")
async def test_waiting_in_line_uses_up_no_attempt_and_no_delay(
    house: House, receiver: Hook
) -> None:
    """Waits for the order and retries share neither a counter nor a backoff."""
    receiver.answer = lambda got: 500 if got.event_id == events[0] and got.count < 4 else 200
    await house.endpoint(url=receiver.url, ordering="strict")
    events = await house.publish(5)

    await settled(house, 5)

    rows = await house.rows("SELECT event_id, attempts FROM deliveries ORDER BY id")
    assert [row.attempts for row in rows] == [4, 1, 1, 1, 1]
    assert receiver.ids == [events[0]] * 3 + events
    last = [got.at for got in receiver.got][-5:]
    assert last[-1] - last[0] < 2


@pytest.mark.usefixtures("running")
async def test_a_key_whose_head_is_given_up_waits_for_a_person(
    house: House, receiver: Hook, control: DeliveryControl
) -> None:
    receiver.answer = lambda got: 500 if got.event_id in bad else 200
    await house.endpoint(
        url=receiver.url,
        ordering="per_key",
        ordering_key="data.account_uuid",
        head_of_line="park_key",
        retry_schedule="100ms",
    )
    bad = set(await house.publish(1, "account.balance_updated", account_uuid="a"))
    behind = await house.publish(2, "account.balance_updated", account_uuid="a")
    others = await house.publish(2, "account.balance_updated", account_uuid="b")

    await eventually(lambda: is_state(house, "parked", hold="key_parked"))
    await eventually(lambda: came(receiver, others))
    assert not {*behind} & {*receiver.ids}

    bad.clear()
    head = await house.value("SELECT id FROM deliveries WHERE hold = 'key_parked'")
    await control.redeliver(head, BY)
    await settled(house, 5)
    assert [id for id in receiver.ids if id in behind] == behind


@pytest.mark.usefixtures("running")
async def test_a_receiver_that_hangs_holds_up_nobody_else(house: House, receiver: Hook) -> None:
    receiver.answer = lambda got: 30.0 if got.path == "/hangs" else 200
    for name in ("hanging", "other"):
        await house.tenant(name)
    await house.endpoint(tenant_id="hanging", url=receiver.url + "hangs", max_in_flight=20)
    await house.endpoint(tenant_id="other", url=receiver.url)
    await house.publish(200, tenant="hanging")
    await eventually(lambda: at_once(receiver, 20))

    waits = []
    for _ in range(20):
        begin = time.time()
        [event] = await house.publish(1, tenant="other")
        await house.publish(10, tenant="hanging")
        await eventually(partial(came, receiver, [event]))
        waits.append(next(got.at for got in receiver.got if got.event_id == event) - begin)

    assert sorted(waits)[-2] < 2, "none waits for the timeout of another's receiver"
    assert receiver.at_once_max <= 20 + 1


async def test_killed_in_the_middle_of_a_batch_it_sends_again_only_what_was_not_recorded(
    house: House, temporal: Client, settings: Settings, queue: str, receiver: Hook
) -> None:
    slow: set[str] = set()
    receiver.answer = lambda got: 30.0 if got.event_id in slow and got.count == 1 else 200
    await house.endpoint(url=receiver.url)
    events = await house.publish(12)
    slow.update(events[8:])
    async with sending(house, temporal, settings, queue):
        await eventually(lambda: has_attempts(house, 8))
        await eventually(lambda: at_once(receiver, 4))

    async with sending(house, temporal, settings, queue):
        await settled(house, 12)

    assert {id: receiver.ids.count(id) for id in events} == dict.fromkeys(events[:8], 1) | (
        dict.fromkeys(events[8:], 2)
    )
    assert await house.value("SELECT count(*) FROM attempts") == 12


@pytest.mark.usefixtures("running")
async def test_order_is_kept_per_key_whatever_fails(house: House, receiver: Hook) -> None:
    """Of each key the receiver sees the events in order, each until it took it, none in between."""
    receiver.answer = lambda got: 500 if hash((got.event_id, got.count)) % 4 == 0 else 200
    await house.endpoint(
        url=receiver.url, ordering="per_key", ordering_key="data.account_uuid", retry_schedule=FAST
    )
    by_key: dict[str, list[str]] = {f"a{number}": [] for number in range(5)}
    for number in range(60):
        key = f"a{number % 5}"
        by_key[key] += await house.publish(1, "account.balance_updated", account_uuid=key)

    await settled(house, 60, within_s=60)

    for events in by_key.values():
        seen = [id for id in receiver.ids if id in events]
        assert list(dict.fromkeys(seen)) == events
        assert seen == sorted(seen, key=events.index)


FAST = ",".join(["100ms"] * 15)


async def settled(house: House, number: int, *, within_s: float = 20) -> None:
    await eventually(partial(are, house, "succeeded", number), within_s=within_s)


async def one_that_is(house: House, state: str) -> str:
    await house.publish(1)
    await eventually(lambda: is_state(house, state))
    id: str = await house.value("SELECT id FROM deliveries")
    return id


async def is_state(house: House, state: str, *, hold: str | None = None) -> bool:
    rows = await house.rows("SELECT state, hold FROM deliveries ORDER BY id")
    return any(row.state == state and (hold is None or row.hold == hold) for row in rows)


async def both_are(house: House, state: str) -> bool:
    rows = await house.rows("SELECT state FROM deliveries")
    return [row.state for row in rows] == [state] * 2


async def at_once(receiver: Hook, number: int) -> bool:
    return receiver.at_once >= number


async def came(receiver: Hook, events: list[str]) -> bool:
    return {*events} <= {*receiver.ids}


async def has_attempts(house: House, number: int) -> bool:
    return bool(await house.value("SELECT count(*) FROM attempts") >= number)


async def changes(house: House) -> list[tuple[Any, ...]]:
    query = "SELECT from_state, to_state, reason, actor FROM delivery_changes ORDER BY id"
    return [tuple(row) for row in await house.rows(query)]


async def history_length(temporal: Client, workflow_id: str) -> int:
    handle = temporal.get_workflow_handle(workflow_id)
    history = await handle.fetch_history()
    assert history.events[0].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    return len(history.events)


async def ended(temporal: Client, workflow_id: str) -> bool:
    description = await temporal.get_workflow_handle(workflow_id).describe()
    return description.status is not WorkflowExecutionStatus.RUNNING


async def pending_activities(temporal: Client, workflow_id: str) -> list[Any]:
    try:
        description = await temporal.get_workflow_handle(workflow_id).describe()
    except RPCError:  # It is just being started.
        return []
    return list(description.raw_description.pending_activities)

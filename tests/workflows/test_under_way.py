"""Retries that somebody steers while an attempt of theirs is under way."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from runtime.delivery_control import DeliveryControl
from runtime.settings import Settings
from storage import attempts
from storage.redelivery import By
from tests.hooks import Hook, hook
from tests.lifecycle import House, are, eventually, lifecycle_settings, triggers, waits
from workflows.retry_delivery import HEARTBEAT

BY = By("key_ops", "asked for on the phone")

pytestmark = pytest.mark.usefixtures("running")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return lifecycle_settings(tmp_path, retry_schedule="1h,1h")


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Hook]:
    async with hook(lambda got: 500 if got.count == 1 else 200) as receiver:
        yield receiver


async def test_a_slow_answer_is_waited_for_and_recorded_even_if_it_is_paused_meanwhile(
    house: House, temporal: Client, receiver: Hook, control: DeliveryControl
) -> None:
    """The engine asks for signs of life more often than a receiver must answer."""
    slowly = HEARTBEAT.total_seconds() + 1.5
    receiver.answer = lambda got: 500 if got.count == 1 else slowly
    await house.endpoint(url=receiver.url)
    both = await waiting(house, temporal, 2)
    for id in both:
        await control.redeliver(id, BY)
    await eventually(lambda: came(receiver, 4))

    await control.pause(both[1], BY)

    async with asyncio.timeout(slowly + 5):
        for id in both:
            run = temporal.get_workflow_handle(f"delivery/{id}")
            assert await run.result() == "delivered", "by this attempt, not found to be by the next"
    assert len(receiver.got) == 4
    assert await triggers(house) == ["schedule", "schedule", "manual", "manual"]


async def test_a_redelivery_while_it_is_found_not_to_be_due_is_not_lost(
    house: House, receiver: Hook, control: DeliveryControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retry's first look at its row: before the row is changed, and answered afterwards."""
    looked, go_on = asyncio.Event(), asyncio.Event()
    load = attempts.load_delivery

    async def slowly(*given: Any) -> Any:
        row = await load(*given)
        looked.set()
        await go_on.wait()
        return row

    monkeypatch.setattr(attempts, "load_delivery", slowly)
    await house.endpoint(url=receiver.url)
    await house.publish(1)
    await looked.wait()

    redelivering = asyncio.create_task(
        control.redeliver(await house.value("SELECT id FROM deliveries"), BY)
    )
    await asyncio.sleep(0.2)
    go_on.set()
    await redelivering

    await eventually(lambda: are(house, "succeeded", 1))
    assert await triggers(house) == ["schedule", "manual"]


@pytest.mark.parametrize("attempt", [1, 2])
async def test_a_redelivery_while_an_attempt_is_on_its_way_comes_after_it_if_that_fails(
    house: House, temporal: Client, receiver: Hook, control: DeliveryControl, attempt: int
) -> None:
    receiver.answer = lambda got: 500 if got.count <= attempt else 200
    await house.endpoint(url=receiver.url)
    if attempt == 2:
        [id] = await waiting(house, temporal, 1)
        receiver.holds_back_s = 0.5
        await control.redeliver(id, BY)
    else:
        receiver.holds_back_s = 0.5
        await house.publish(1)
    await eventually(lambda: came(receiver, attempt))

    await control.redeliver(await house.value("SELECT id FROM deliveries"), BY)

    await eventually(lambda: are(house, "succeeded", 1))
    assert await triggers(house) == ["schedule", "manual", "manual"][: attempt + 1]


async def waiting(house: House, temporal: Client, number: int) -> list[str]:
    await house.publish(number)
    await eventually(lambda: are(house, "retrying", number))
    ids = [row.id for row in await house.rows("SELECT id FROM deliveries")]
    for id in ids:
        await eventually(partial(waits, temporal, id))
    return ids


async def came(receiver: Hook, number: int) -> bool:
    return len(receiver.got) == number

"""What is changed while a claimed delivery waits for its place counts for it, at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from standardwebhooks import Webhook
from temporalio.client import Client

from activities.last_looks import FRESH_FOR_S
from domain.signing import Secret, new_secret
from runtime.delivery_control import DeliveryControl
from runtime.safe import seal_secret
from runtime.settings import Settings
from storage.health import disable, enable
from storage.redelivery import By
from storage.tables import Endpoint
from storage.types import utc_now
from tests.hooks import Hook, hook
from tests.lifecycle import House, are, eventually, lifecycle_settings

BY = By("key_ops", "asked for on the phone")
HELD_S = 4.0  # Long enough to change something meanwhile, however busy the machine is.
assert HELD_S > 5 * FRESH_FOR_S

pytestmark = pytest.mark.usefixtures("running")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return lifecycle_settings(tmp_path, retry_schedule="100ms,100ms")


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Hook]:
    """It takes its time over the first one, and those behind it wait for their turn."""
    async with hook() as receiver:
        receiver.answer = lambda _: HELD_S if len(receiver.got) == 1 else 200
        yield receiver


async def test_a_secret_rotated_while_a_claim_waits_signs_what_is_not_sent_yet(
    house: House, receiver: Hook
) -> None:
    endpoint, _ = await one_is_sent_and_others_wait(house, receiver, 3)
    new = new_secret()

    await replace_secrets(house, endpoint, new)

    await eventually(lambda: settled(house, 3))
    for got in receiver.got[1:]:
        headers = {name.lower(): value for name, value in got.headers.items()}
        Webhook(new.reveal()).verify(got.body, headers)


async def test_disabled_while_a_claim_waits_nothing_more_is_sent_and_nothing_is_lost(
    house: House, receiver: Hook
) -> None:
    endpoint, _ = await one_is_sent_and_others_wait(house, receiver, 4)

    await house.database.transact(
        lambda session: disable(session, endpoint.id, "by_owner", now=utc_now())
    )
    await eventually(lambda: settled(house, 1))
    await eventually(lambda: are(house, "parked", 3))
    assert len(receiver.got) == 1
    assert await house.value("SELECT count(*) FROM attempts") == 1

    await house.database.transact(lambda session: enable(session, endpoint.id, BY, now=utc_now()))
    await eventually(lambda: settled(house, 4))
    assert len(receiver.got) == 4


async def test_cancelled_while_it_waits_it_is_not_sent_and_those_behind_it_are(
    house: House, receiver: Hook, control: DeliveryControl
) -> None:
    _, events = await one_is_sent_and_others_wait(house, receiver, 3)
    second = await the_delivery(house, events[1])

    await control.cancel(second, BY)

    await eventually(lambda: settled(house, 2))
    assert receiver.ids == [events[0], events[2]]
    assert await are(house, "cancelled", 1)


async def test_paused_while_it_waits_it_holds_up_those_behind_it_until_it_is_resumed(
    house: House, receiver: Hook, control: DeliveryControl
) -> None:
    _, events = await one_is_sent_and_others_wait(house, receiver, 3)
    second = await the_delivery(house, events[1])

    await control.pause(second, BY)
    await eventually(lambda: are(house, "parked", 1))
    await eventually(lambda: are(house, "pending", 1))
    assert receiver.ids == events[:1]
    assert await house.value("SELECT count(*) FROM attempts") == 1

    await control.resume(second, BY)
    await eventually(lambda: settled(house, 3))
    assert receiver.ids == events


async def test_a_url_changed_while_a_claim_waits_is_the_one_that_is_posted_to(
    house: House, receiver: Hook
) -> None:
    endpoint, _ = await one_is_sent_and_others_wait(house, receiver, 3)

    await house.execute(
        "UPDATE endpoints SET url = :url WHERE id = :id", url=f"{receiver.url}new", id=endpoint.id
    )

    await eventually(lambda: settled(house, 3))
    assert [got.path for got in receiver.got] == ["/", "/new", "/new"]


async def test_a_retry_that_waits_for_its_place_is_parked_with_its_endpoint(
    house: House, receiver: Hook, control: DeliveryControl, temporal: Client
) -> None:
    receiver.answer = lambda got: 500 if got.count == 1 else HELD_S
    endpoint = await house.endpoint(url=receiver.url, max_in_flight=1, retry_schedule="1h")
    sent, waiting = [await the_delivery(house, event) for event in await house.publish(2)]
    await eventually(lambda: are(house, "retrying", 2))
    await control.redeliver(sent, BY)
    await eventually(lambda: is_holding_its_place(receiver))
    await control.redeliver(waiting, BY)
    await asyncio.sleep(5 * FRESH_FOR_S)  # It is due, and waits.

    await house.database.transact(
        lambda session: disable(session, endpoint.id, "by_owner", now=utc_now())
    )

    await eventually(lambda: settled(house, 1))
    await eventually(lambda: are(house, "parked", 1))
    assert await temporal.get_workflow_handle(f"delivery/{waiting}").result() == "parked"
    assert len(receiver.got) == 3


async def is_holding_its_place(receiver: Hook) -> bool:
    return len(receiver.got) == 3 and receiver.at_once == 1


async def one_is_sent_and_others_wait(
    house: House, receiver: Hook, number: int
) -> tuple[Endpoint, list[str]]:
    """All are in one claim, which sends them one after the other."""
    endpoint = await house.endpoint(url=receiver.url, ordering="strict")
    events = await house.publish(number)

    async def begun() -> bool:
        claimed = await are(house, "claimed", number)
        return claimed and receiver.at_once == 1

    await eventually(begun, every_s=0.005)
    return endpoint, events


async def replace_secrets(house: House, endpoint: Endpoint, secret: Secret) -> None:
    async def work(session: AsyncSession) -> None:
        await session.execute(text("DELETE FROM endpoint_secrets"))
        session.add(seal_secret(house.vault, endpoint.id, secret))

    await house.database.transact(work)


async def the_delivery(house: House, event_id: str) -> str:
    id: str = await house.value("SELECT id FROM deliveries WHERE event_id = :id", id=event_id)
    return id


async def settled(house: House, number: int) -> bool:
    return await are(house, "succeeded", number)

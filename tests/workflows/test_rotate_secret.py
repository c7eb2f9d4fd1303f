"""Rotations in virtual time: a week of overlap passes in a moment, and every instant is exact."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import update
from standardwebhooks import Webhook
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.addressees import AddressBook
from activities.rotations import SqlRotationActivities
from activities.sender import Clock, Sender
from activities.webhooks import HttpWebhookActivities
from domain.batch import RetryRequest
from domain.delivery import STANDARD_SCHEDULE
from domain.signing import Secret, new_secret, signature_headers
from runtime.database import Database
from runtime.lifecycle import rotation_workflow_id, tell_rotation
from runtime.safe import seal_secret
from storage import secrets
from storage.lifecycle_tables import SecretRotation
from storage.outbox import DELIVERIES
from storage.secrets import RotationOrder
from storage.tables import Endpoint
from storage.types import utc_now
from tests.conftest import worker
from tests.lifecycle import BY, House, lifecycle_settings, own_queue
from tests.runtime.clients import post, webhook_client
from tests.runtime.receivers import OK, Answer, Caller, Receiver, always, http, receiving
from tests.workflows.conftest import time_skipping
from worker.upkeep import Upkeep
from workflows.retry_delivery import RetryDelivery
from workflows.rotate_secret import RotateSecret

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest_asyncio.fixture(scope="module")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping() as environment:
        yield environment


@pytest.fixture
def house(sqlite: Database) -> House:
    return House(sqlite)


@pytest_asyncio.fixture
async def queue(
    house: House, skipping: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    queue = own_queue(monkeypatch)
    activities = SqlRotationActivities(house.database, now=virtual_now)
    async with worker(skipping.client, queue, [activities]):
        yield queue


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(always(OK)) as receiver:
        yield receiver


@pytest.mark.usefixtures("queue")
async def test_the_old_secret_stops_signing_at_the_very_end_of_the_overlap(
    house: House, skipping: WorkflowEnvironment, receiver: Receiver
) -> None:
    old, new = new_secret(), new_secret()
    endpoint = await house.endpoint(old, url=receiver.url)
    rotation = await rotate(house, endpoint, new, at=await skipping.get_current_time())
    await tell_rotation(skipping.client, rotation)

    # (how long before the end of the overlap, whether a receiver with the old secret is content)
    for before, trusted in ((DAY, True), (12 * 60 * 60 * SECOND, True), (10 * SECOND, True)):
        await sleep_until(skipping, rotation.ends_at - before)
        await send(house, endpoint, await skipping.get_current_time())
        assert verifies(receiver, new)
        assert verifies(receiver, old) is trusted
    assert await outcome(skipping, endpoint, rotation.ends_at) == "completed"
    for after in (timedelta(), 10 * SECOND, 30 * DAY):
        await sleep_until(skipping, rotation.ends_at + after)
        await send(house, endpoint, rotation.ends_at + after)
        assert verifies(receiver, new)
        assert not verifies(receiver, old)


async def test_over_a_schedule_of_days_each_retry_is_signed_by_the_keys_of_its_own_time(
    house: House, skipping: WorkflowEnvironment, queue: str
) -> None:
    """Peers' defects: keys that sign after expiry; retries signed as the first attempt was."""
    old, new = new_secret(), new_secret()
    async with receiving(failing(times=7)) as receiver, webhook_client() as client:
        endpoint = await house.endpoint(old, url=receiver.url)
        began = await skipping.get_current_time()
        rotation = await rotate(house, endpoint, new, at=began)
        delivery_id = await due_delivery(house, at=began)
        book = AddressBook(house.vault, schedule=STANDARD_SCHEDULE)
        clock = Clock(now=virtual_now, jitter=lambda: 0)
        sender = Sender(house.database, client, book, skipping.client, clock=clock)
        async with worker(skipping.client, f"{queue}-days", [HttpWebhookActivities(sender)]):
            handle = await skipping.client.start_workflow(
                RetryDelivery.run,
                RetryRequest(delivery_id),
                id=f"delivery/{delivery_id}",
                task_queue=f"{queue}-days",
            )
            assert await handle.result() == "delivered"

        sent = [
            (moment_of(receiver, number) - began, signers(receiver, number, [new, old]))
            for number in range(len(receiver.heads))
        ]

    due = [sum(STANDARD_SCHEDULE[:number], timedelta()) for number in range(8)]
    assert [abs(took - wanted) < 10 * SECOND for (took, _), wanted in zip(sent, due, strict=True)]
    assert [secrets for _, secrets in sent] == [[new, old]] * 7 + [[new]]
    assert due[6] < rotation.ends_at - began < due[7]


@pytest.mark.usefixtures("queue")
async def test_expired_secrets_never_sign_even_if_no_workflow_ever_ran(
    house: House, receiver: Receiver
) -> None:
    """A peer's defect: keys that still sign after expiry, as only a job switched them off."""
    old, new = new_secret(), new_secret()
    endpoint = await house.endpoint(old, url=receiver.url)
    now = utc_now()
    rotation = await rotate(house, endpoint, new, at=now)

    signed = []
    for moment in (now, rotation.ends_at - timedelta(microseconds=1), rotation.ends_at):
        await send(house, endpoint, moment)
        signed.append(header(receiver, "webhook-signature").count("v1,"))

    assert signed == [2, 2, 1]


@pytest.mark.parametrize("overlap", [timedelta(), 90 * SECOND, timedelta(hours=1), 7 * DAY])
@pytest.mark.usefixtures("queue")
async def test_an_expiry_in_seconds_is_an_expiry_in_seconds(
    house: House, skipping: WorkflowEnvironment, overlap: timedelta
) -> None:
    """A peer's defect: secret expiry that mixes seconds and hours."""
    endpoint = await house.endpoint()
    began = await skipping.get_current_time()
    rotation = await rotate(house, endpoint, new_secret(), at=began, overlap=overlap)
    await tell_rotation(skipping.client, rotation)

    assert await outcome(skipping, endpoint, began + overlap) == "completed"

    async with house.database.read() as session:
        ended = await session.get_one(SecretRotation, rotation.id)
    assert ended.ends_at == began + overlap
    assert ended.ended_at is not None
    assert timedelta() <= ended.ended_at - ended.ends_at < 5 * SECOND


@pytest.mark.usefixtures("queue")
async def test_a_rotation_is_announced_once_and_its_old_secret_destroyed_at_its_end(
    house: House, skipping: WorkflowEnvironment
) -> None:
    endpoint = await house.endpoint()
    rotation = await rotate(house, endpoint, new_secret(), at=await skipping.get_current_time())
    await tell_rotation(skipping.client, rotation)
    await tell_rotation(skipping.client, rotation)
    await outcome(skipping, endpoint, rotation.ends_at)

    [event] = await house.rows("SELECT type, body FROM events")
    assert event.type == "system.status_change"
    assert b'"reason":"secret_rotation"' in event.body
    assert rotation.id.encode() in event.body
    assert await house.value("SELECT count(*) FROM endpoint_secrets") == 1
    changes = await house.rows("SELECT change FROM secret_changes ORDER BY id")
    assert [change for (change,) in changes] == ["created", "expires", "announced", "expired"]


@pytest.mark.usefixtures("queue")
async def test_only_the_tenant_whose_secret_it_is_hears_of_its_rotation(
    house: House, skipping: WorkflowEnvironment
) -> None:
    """A peer's defect: alerts that reach another tenant."""
    endpoint, beside = await house.endpoint(), await house.endpoint()
    await house.tenant("ten_other")
    await house.endpoint(tenant_id="ten_other")
    rotation = await rotate(house, endpoint, new_secret(), at=await skipping.get_current_time())
    await tell_rotation(skipping.client, rotation)
    await outcome(skipping, endpoint, rotation.ends_at)

    told = await house.rows("SELECT endpoint_id FROM deliveries")
    assert {endpoint_id for (endpoint_id,) in told} == {endpoint.id, beside.id}


@pytest.mark.usefixtures("queue")
async def test_rolled_back_its_workflow_has_nothing_left_to_wait_for(
    house: House, skipping: WorkflowEnvironment, receiver: Receiver
) -> None:
    old, new = new_secret(), new_secret()
    endpoint = await house.endpoint(old, url=receiver.url)
    began = await skipping.get_current_time()
    rotation = await rotate(house, endpoint, new, at=began, overlap=7 * DAY)
    await tell_rotation(skipping.client, rotation)
    await sleep_until(skipping, began + DAY)

    back_at = await skipping.get_current_time()
    rotation = await house.database.transact(
        lambda session: secrets.roll_back(session, endpoint, actor=BY, now=back_at)
    )
    await tell_rotation(skipping.client, rotation)
    await outcome(skipping, endpoint, back_at)

    assert await skipping.get_current_time() - back_at < 30 * SECOND
    await send(house, endpoint, back_at)
    assert verifies(receiver, old)
    assert not verifies(receiver, new)


@pytest.mark.usefixtures("queue")
async def test_a_rotation_that_follows_at_once_is_seen_to_by_the_same_run(
    house: House, skipping: WorkflowEnvironment
) -> None:
    endpoint = await house.endpoint()
    first = await rotate(house, endpoint, new_secret(), at=await skipping.get_current_time())
    await tell_rotation(skipping.client, first)
    await skipping.sleep(DAY / 2)
    now = await skipping.get_current_time()
    await house.database.transact(
        lambda session: secrets.roll_back(session, endpoint, actor=BY, now=now)
    )
    second = await rotate(house, endpoint, new_secret(), at=now + SECOND)
    await tell_rotation(skipping.client, second)

    assert await outcome(skipping, endpoint, second.ends_at) == "completed"

    states = await house.rows("SELECT state FROM secret_rotations ORDER BY id")
    assert [state for (state,) in states] == ["rolled_back", "completed"]


@pytest.mark.usefixtures("queue")
async def test_a_rotation_whose_workflow_is_missing_is_told_to_the_engine_again(
    house: House, skipping: WorkflowEnvironment, tmp_path: Path
) -> None:
    endpoint = await house.endpoint()
    await rotate(house, endpoint, new_secret(), at=utc_now() - 2 * DAY)

    await Upkeep(house.database, skipping.client, lifecycle_settings(tmp_path)).look()

    assert await handle_of(skipping.client, endpoint).result() == "completed"


@pytest.mark.usefixtures("queue")
async def test_no_secret_is_in_the_history_of_a_rotation(
    house: House, skipping: WorkflowEnvironment
) -> None:
    endpoint = await house.endpoint(old := new_secret())
    now = await skipping.get_current_time()
    rotation = await rotate(house, endpoint, new := new_secret(), at=now)
    await tell_rotation(skipping.client, rotation)
    await outcome(skipping, endpoint, rotation.ends_at)

    history = await handle_of(skipping.client, endpoint).fetch_history()
    kept = b"".join(event.SerializeToString() for event in history.events)

    assert rotation.id.encode() in kept
    assert old.reveal().encode() not in kept
    assert new.reveal().encode() not in kept


def virtual_now() -> datetime:
    """The time by the server's clock, at which this activity began."""
    return activity.info().started_time.astimezone(UTC)


async def rotate(
    house: House,
    endpoint: Endpoint,
    secret: Secret,
    *,
    at: datetime,
    overlap: timedelta = DAY,
) -> SecretRotation:
    order = RotationOrder(seal_secret(house.vault, endpoint.id, secret), BY, overlap)
    return await house.database.transact(
        lambda session: secrets.rotate(session, endpoint, order, now=at)
    )


async def send(house: House, endpoint: Endpoint, moment: datetime) -> None:
    """POST one event, signed as it is at that moment."""
    book = AddressBook(house.vault, schedule=STANDARD_SCHEDULE)
    async with house.database.read() as session:
        addressee = (await book.look_up(session, [endpoint.id]))[endpoint.id]
    headers = signature_headers(addressee.keys, event_id="evt_1", sent_at=moment, body=b"{}")
    async with webhook_client() as client:
        assert (await post(client, addressee.url, headers=headers)).succeeded


def failing(*, times: int) -> Answer:
    """A receiver that is out of order for a while."""
    left = [http(500)] * times + [OK]

    async def answer(caller: Caller) -> None:
        await caller.send(left.pop(0) if len(left) > 1 else left[0])

    return answer


async def due_delivery(house: House, *, at: datetime) -> str:
    await house.publish()
    values = {"state": "retrying", "next_attempt_at": at}
    await house.database.transact(
        lambda session: session.execute(update(DELIVERIES).values(values))
    )
    found: str = await house.value("SELECT id FROM deliveries")
    return found


def moment_of(receiver: Receiver, number: int) -> datetime:
    return datetime.fromtimestamp(int(header(receiver, "webhook-timestamp", number)), UTC)


def signers(receiver: Receiver, number: int, candidates: list[Secret]) -> list[Secret]:
    """Whose signatures one POST carries, in their order: by a library that is not ours."""
    event_id = header(receiver, "webhook-id", number)
    body, moment = receiver.bodies[number].decode(), moment_of(receiver, number)
    by_signature = {
        Webhook(secret.reveal()).sign(event_id, moment, body): secret for secret in candidates
    }
    carried = header(receiver, "webhook-signature", number).split(" ")
    return [by_signature[signature] for signature in carried]


def header(receiver: Receiver, name: str, number: int = -1) -> str:
    lines = receiver.lines(number)
    [value] = [line.split(": ", 1)[1] for line in lines if line.lower().startswith(f"{name}: ")]
    return value


def verifies(receiver: Receiver, secret: Secret) -> bool:
    """Whether a receiver that knows this secret trusts the last POST: by a library not ours."""
    signature = header(receiver, "webhook-signature")
    expected = Webhook(secret.reveal()).sign("evt_1", moment_of(receiver, -1), "{}")
    return expected in signature.split(" ")


async def sleep_until(skipping: WorkflowEnvironment, moment: datetime) -> None:
    left = moment - await skipping.get_current_time()
    if left > timedelta():
        await skipping.sleep(left)


async def outcome(skipping: WorkflowEnvironment, endpoint: Endpoint, ends_at: datetime) -> str:
    """What the workflow came to, with its waiting skipped."""
    await sleep_until(skipping, ends_at + SECOND)
    return await handle_of(skipping.client, endpoint).result()


def handle_of(temporal: Client, endpoint: Endpoint) -> WorkflowHandle[RotateSecret, str]:
    return temporal.get_workflow_handle_for(RotateSecret.run, rotation_workflow_id(endpoint.id))

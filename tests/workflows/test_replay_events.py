"""A replay as it runs: with a relay, a worker, a Temporal server and a receiver that are real."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from domain.replay import ReplayProgress
from runtime.lifecycle import replay_workflow_id, tell_replay
from runtime.settings import Settings
from storage import replays
from storage.lifecycle_tables import ReplayJob
from tests.hooks import hook
from tests.lifecycle import House, eventually, sending
from tests.runtime.receivers import OK, Receiver, always, receiving
from worker.upkeep import Upkeep
from workflows.replay_events import ReplayEvents


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(always(OK)) as receiver:
        yield receiver


@pytest.mark.usefixtures("running")
async def test_a_replay_sends_each_event_again_under_its_own_id_and_with_its_own_bytes(
    house: House, temporal: Client, receiver: Receiver
) -> None:
    endpoint = await house.endpoint(url=receiver.url)
    await house.publish(20)
    await all_sent(house)
    first_time = Counter(receiver.bodies)
    job = await house.replay(endpoint)

    progress = await outcome(temporal, job)

    await all_sent(house)
    assert (progress.state, progress.sent, progress.total) == ("completed", 20, 20)
    assert Counter(receiver.bodies) == first_time + first_time
    rows = await house.rows(
        "SELECT trigger, count(*) FROM attempts GROUP BY number, trigger ORDER BY number"
    )
    assert [tuple(row) for row in rows] == [("schedule", 20), ("replay", 20)]


@pytest.mark.usefixtures("running")
async def test_what_was_told_before_the_webhook_was_made_can_be_sent_to_it(
    house: House, temporal: Client, receiver: Receiver
) -> None:
    event_ids = await house.publish(10)
    endpoint = await house.endpoint(url=receiver.url)
    job = await house.replay(endpoint, never_attempted=True)

    progress = await outcome(temporal, job)

    await all_sent(house)
    assert (progress.created, progress.requeued) == (10, 0)
    assert {json.loads(body)["event_id"] for body in receiver.bodies} == {*event_ids}


@pytest.mark.usefixtures("running")
async def test_a_dead_letter_that_is_replayed_has_the_whole_retry_schedule_again(
    house: House, temporal: Client
) -> None:
    async with hook(lambda got: 200 if got.count == 6 else 500) as receiver:
        endpoint = await house.endpoint(url=receiver.url, retry_schedule="100ms,100ms")
        await house.publish(1)
        await eventually(lambda: all_are(house, "dead_lettered", attempts=3))

        await outcome(temporal, await house.replay(endpoint, states=("failed",)))

        await eventually(lambda: all_are(house, "succeeded", attempts=6))
    rows = await house.rows("SELECT trigger, decision FROM attempts ORDER BY number")
    assert [tuple(row) for row in rows[3:]] == [
        ("replay", "retry"),
        ("schedule", "retry"),
        ("schedule", "settle"),
    ]


@pytest.mark.usefixtures("running")
async def test_paused_it_sends_nothing_and_resumed_it_sends_the_rest(
    house: House, temporal: Client, receiver: Receiver
) -> None:
    endpoint = await house.endpoint(url=receiver.url)
    await house.publish(30)
    await all_sent(house)
    job = await house.replay(endpoint, per_second=10)

    await tell_replay(temporal, job)
    await eventually(lambda: batches(house, job))
    paused = await house.act(replays.pause, job.id)
    await tell_replay(temporal, paused)
    handle = handle_of(temporal, job)
    await eventually(lambda: shows(handle, "paused"))
    await asyncio.sleep(0.5)
    assert (await house.job(job.id)).requeued == paused.requeued < 30

    await tell_replay(temporal, await house.act(replays.resume, job.id))
    progress = await handle.result()

    assert (progress.state, progress.requeued) == ("completed", 30)


@pytest.mark.usefixtures("running")
async def test_cancelled_it_queues_nothing_more_and_its_run_ends(
    house: House, temporal: Client, receiver: Receiver
) -> None:
    endpoint = await house.endpoint(url=receiver.url)
    await house.publish(30)
    await all_sent(house)
    job = await house.replay(endpoint, per_second=5)

    await tell_replay(temporal, job)
    await eventually(lambda: batches(house, job))
    cancelled = await house.act(replays.cancel, job.id)
    await tell_replay(temporal, cancelled)
    progress = await handle_of(temporal, job).result()

    assert (progress.state, progress.requeued) == ("cancelled", cancelled.requeued)
    await all_sent(house)
    replayed = await house.value("SELECT count(*) FROM attempts WHERE trigger = 'replay'")
    assert replayed == cancelled.requeued < 30


@pytest.mark.usefixtures("running")
async def test_cancelled_in_temporal_its_row_says_so_too(
    house: House, temporal: Client, receiver: Receiver
) -> None:
    endpoint = await house.endpoint(url=receiver.url)
    await house.publish(30)
    await all_sent(house)
    job = await house.replay(endpoint, per_second=5)

    await tell_replay(temporal, job)
    await eventually(lambda: batches(house, job))
    await handle_of(temporal, job).cancel()
    with pytest.raises(WorkflowFailureError):
        await handle_of(temporal, job).result()

    job = await house.job(job.id)
    assert (job.state, job.reason) == ("cancelled", "by_operator")


@pytest.mark.usefixtures("running")
async def test_terminated_it_goes_on_from_its_checkpoint_when_upkeep_finds_it(
    house: House, temporal: Client, receiver: Receiver, settings: Settings
) -> None:
    endpoint = await house.endpoint(url=receiver.url)
    await house.publish(20)
    await all_sent(house)
    job = await house.replay(endpoint, per_second=5)
    await tell_replay(temporal, job)
    await eventually(lambda: batches(house, job))
    await handle_of(temporal, job).terminate()

    await house.execute("UPDATE replay_jobs SET updated_at = '2026-01-01 00:00:00'")
    await Upkeep(house.database, temporal, settings).look()
    progress = await handle_of(temporal, job).result()

    assert (progress.state, progress.requeued, progress.total) == ("completed", 20, 20)
    assert await house.value("SELECT count(*) FROM delivery_changes") == 20


@pytest.mark.usefixtures("running")
async def test_a_fresh_event_overtakes_a_replay(
    house: House, temporal: Client, receiver: Receiver
) -> None:
    endpoint = await house.endpoint(url=receiver.url)
    await house.publish(100)
    await all_sent(house)
    job = await house.replay(endpoint, per_second=40)
    await tell_replay(temporal, job)
    await eventually(lambda: batches(house, job))

    [fresh] = await house.publish(event_type="account.created")
    await eventually(lambda: delivered(house, fresh))

    assert (await house.job(job.id)).state == "running"
    assert (await outcome(temporal, job)).requeued == 100


async def test_killed_half_way_it_ends_with_exact_totals(
    house: House, temporal: Client, settings: Settings, queue: str, receiver: Receiver
) -> None:
    number = 150
    endpoint = await house.endpoint(url=receiver.url)
    async with sending(house, temporal, settings, queue):
        await house.publish(number)
        await all_sent(house)
        job = await house.replay(endpoint, per_second=50)
        # From here on `queue` is the replay's own, and its worker a process that can be killed.
        async with replay_worker(temporal, queue := f"{queue}-replay", settings) as first:
            await tell_on(queue, temporal, job)
            await eventually(lambda: batches(house, job))
            os.kill(first.pid, signal.SIGKILL)
            await first.wait()
        half_way = (await house.job(job.id)).requeued
        async with replay_worker(temporal, queue, settings):
            progress = await asyncio.wait_for(handle_of(temporal, job).result(), 30)
        await all_sent(house)

    assert 0 < half_way < number
    assert (progress.state, progress.requeued, progress.total) == ("completed", number, number)
    changes = await house.rows("SELECT delivery_id FROM delivery_changes")
    assert len(changes) == len({delivery_id for (delivery_id,) in changes}) == number
    replayed = "SELECT count(*), count(DISTINCT delivery_id) FROM attempts WHERE trigger = 'replay'"
    assert [tuple(row) for row in await house.rows(replayed)] == [(number, number)]


async def outcome(temporal: Client, job: ReplayJob) -> ReplayProgress:
    await tell_replay(temporal, job)
    return await handle_of(temporal, job).result()


def handle_of(temporal: Client, job: ReplayJob) -> WorkflowHandle[ReplayEvents, ReplayProgress]:
    return temporal.get_workflow_handle_for(ReplayEvents.run, replay_workflow_id(job.id))


async def all_sent(house: House) -> None:
    async def nothing_left() -> bool:
        return not await house.value("SELECT count(*) FROM deliveries WHERE state <> 'succeeded'")

    await eventually(nothing_left)


async def delivered(house: House, event_id: str) -> bool:
    query = "SELECT count(*) FROM deliveries WHERE event_id = :id AND state = 'succeeded'"
    return bool(await house.value(query, id=event_id))


async def batches(house: House, job: ReplayJob) -> int:
    return (await house.job(job.id)).batch


async def shows(handle: WorkflowHandle[ReplayEvents, ReplayProgress], state: str) -> bool:
    progress = await handle.query(ReplayEvents.progress)
    return progress is not None and progress.state == state


async def tell_on(queue: str, temporal: Client, job: ReplayJob) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("runtime.lifecycle.DELIVERY_QUEUE", queue)
        await tell_replay(temporal, job)


@asynccontextmanager
async def replay_worker(
    temporal: Client, queue: str, settings: Settings
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that runs replays and nothing else."""
    address = temporal.service_client.config.target_host
    url = settings.resolved_database_url
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.workflows.replay_worker", address, queue, url)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def all_are(house: House, state: str, *, attempts: int) -> bool:
    rows = await house.rows("SELECT state, attempts FROM deliveries")
    return {tuple(row) for row in rows} == {(state, attempts)}

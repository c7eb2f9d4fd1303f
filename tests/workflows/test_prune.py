"""Retention as it runs: a schedule, a workflow, small batches."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
)

from activities.retention import SqlRetentionActivities
from runtime.database import Database
from runtime.settings import Settings
from storage.types import utc_now
from tests.conftest import worker
from tests.lifecycle import House, eventually, lifecycle_settings
from worker.schedules import RETENTION_SCHEDULE, ensure_schedule, retention_schedule
from workflows.prune import Prune

KEEP = timedelta(days=30)
MONTHS_LATER = timedelta(days=90)


@pytest.fixture
def house(sqlite: Database) -> House:
    return House(sqlite)


@pytest_asyncio.fixture
async def months_later(house: House, temporal: Client, queue: str) -> AsyncIterator[None]:
    """A worker whose clock is three months ahead."""
    activities = SqlRetentionActivities(house.database, keep=KEEP, batch_max=7, now=ahead)
    async with worker(temporal, queue, [activities]):
        yield


@pytest_asyncio.fixture
async def schedule(temporal: Client) -> AsyncIterator[ScheduleHandle]:
    handle = temporal.get_schedule_handle(RETENTION_SCHEDULE)
    yield handle
    await handle.delete()


@pytest.mark.usefixtures("months_later")
async def test_what_is_old_goes_in_batches_and_what_is_unsettled_stays(
    house: House, temporal: Client, queue: str
) -> None:
    endpoint = await house.endpoint()
    await house.publish(50)
    await house.settle_all()
    await house.execute(
        "UPDATE deliveries SET state = 'parked', settled_at = NULL"
        " WHERE id IN (SELECT id FROM deliveries ORDER BY id LIMIT 3)"
    )
    job = await house.replay(endpoint, states=("succeeded",))
    await house.execute("UPDATE replay_jobs SET state = 'completed', ended_at = created_at")

    rows = await temporal.execute_workflow(Prune.run, id=f"prune-{uuid4()}", task_queue=queue)

    assert rows == {
        "events": 47,
        "deliveries": 47,
        "attempts": 47,
        "idempotency_keys": 0,
        "replay_jobs": 1,
        "sdk_generations": 0,
        "key_uses": 0,
    }
    left = await house.rows("SELECT DISTINCT state FROM deliveries")
    assert [state for (state,) in left] == ["parked"]
    assert job.total == 47


@pytest.mark.usefixtures("months_later")
async def test_the_schedule_starts_the_pruning(
    house: House, temporal: Client, schedule: ScheduleHandle, tmp_path: Path
) -> None:
    await house.publish(20)
    await ensure(temporal, lifecycle_settings(tmp_path))

    await schedule.trigger()

    async def nothing_left() -> bool:
        return not await house.value("SELECT count(*) FROM events")

    await eventually(nothing_left)
    started = (await schedule.describe()).info.recent_actions[0].action
    assert isinstance(started, ScheduleActionExecutionStartWorkflow)
    # Its worker must not go while it is still at work.
    await temporal.get_workflow_handle(started.workflow_id).result()


async def test_a_second_worker_finds_the_schedule_and_brings_it_up_to_date(
    temporal: Client, schedule: ScheduleHandle, tmp_path: Path
) -> None:
    await ensure(temporal, lifecycle_settings(tmp_path))
    await schedule.pause(note="an operator's")

    await ensure(temporal, lifecycle_settings(tmp_path, prune_interval="2h"))

    found = (await schedule.describe()).schedule
    assert [interval.every for interval in found.spec.intervals] == [timedelta(hours=2)]
    assert found.state.paused
    assert isinstance(found.action, ScheduleActionStartWorkflow)
    assert found.action.workflow == "prune"


def ahead() -> datetime:
    return utc_now() + MONTHS_LATER


async def ensure(temporal: Client, settings: Settings) -> None:
    wanted = retention_schedule(settings.prune_interval)
    await ensure_schedule(temporal, RETENTION_SCHEDULE, wanted)

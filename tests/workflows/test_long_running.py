"""What runs for months: its history stays short, and a thousand of it idle cost nothing."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.key_expiry import SqlKeyExpiryActivities
from domain.api_keys import new_key
from domain.key_expiry import KeyExpiryRequest
from domain.monitoring import WatchRequest
from domain.saga import SagaRequest
from domain.status import StatusMonitorRequest
from runtime.database import Database
from runtime.settings import Settings
from runtime.temporal import activity_methods, workflow_runner
from storage.keys import NewKey, make_key
from storage.tables import Event, SagaRun
from storage.types import utc_now
from tests.conftest import TENANT
from worker.build import saga_implementations
from workflows.api_key_expiry import ApiKeyExpiry
from workflows.registry import saga_workflows

HISTORY_EVENTS_MAX = 2_000
A_WEEK_OF_HOURS = 168
IDLE = 1_000


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("transaction_watch", WatchRequest(id="w", every_s=3_600, rounds=A_WEEK_OF_HOURS)),
        (
            "status_monitor",
            StatusMonitorRequest(
                id="m", every_s=3_600, rounds=A_WEEK_OF_HOURS, components=("database", "relay")
            ),
        ),
    ],
)
async def test_a_week_of_looking_every_hour_is_several_short_histories_and_one_story(
    skipping: WorkflowEnvironment, sqlite: Database, name: str, request_: SagaRequest
) -> None:
    queue = uuid4().hex
    async with Worker(
        skipping.client,
        task_queue=queue,
        workflows=saga_workflows(),
        activities=activity_methods(saga_implementations(Settings(), sqlite)),
        workflow_runner=workflow_runner(),
    ):
        handle: WorkflowHandle[Any, Any] = await skipping.client.start_workflow(
            name,
            request_,
            id=f"{name}/{request_.id}",
            task_queue=queue,
            memo={"tenant_id": TENANT, "initiated_by": "key_test"},
            result_type=dict,
        )
        result = await handle.result()

    assert result["rounds"] == A_WEEK_OF_HOURS
    last = (await handle.describe()).run_id
    runs = {handle.first_execution_run_id, last}
    assert len(runs) == 2, "it continued as new"
    for run_id in runs:
        run = skipping.client.get_workflow_handle(handle.id, run_id=run_id)
        assert len((await run.fetch_history()).events) < HISTORY_EVENTS_MAX
    async with sqlite.read() as session:
        row = await session.get_one(SagaRun, handle.id)
        query = select(col(Event.type)).where(col(Event.workflow_id) == handle.id)
        story = (await session.scalars(query.order_by(col(Event.sequence)))).all()
    assert row.state == "completed"
    assert (story[0], story[-1]) == ("workflow.started", "workflow.completed")
    assert story.count("workflow.started") == 1


@pytest.mark.security
@pytest.mark.timeout(300)
async def test_a_thousand_idle_workflows_cost_nothing_and_each_still_listens(
    temporal: Client, sqlite: Database
) -> None:
    keys = await sqlite.transact(make_keys)
    looks: list[datetime] = []

    def now() -> datetime:
        looks.append(utc_now())
        return looks[-1]

    queue = uuid4().hex
    async with Worker(
        temporal,
        task_queue=queue,
        workflows=[ApiKeyExpiry],
        activities=activity_methods([SqlKeyExpiryActivities(sqlite, now=now)]),
        workflow_runner=workflow_runner(),
        max_cached_workflows=10,  # They are idle: a worker need not even remember them.
    ):
        runs = await start_all(temporal, queue, keys)
        before = await until_idle(runs, looks)
        await asyncio.sleep(2)
        assert len(looks) == IDLE, "nobody looks while nothing is due"
        assert await lengths(runs[::100]) == before
        assert max(before) <= 14

        await runs[-1].signal("look_again")
        await many(looks, IDLE + 1)
    async with sqlite.read() as session:
        assert await session.scalar(select(func.count()).select_from(Event)) == 0
    await asyncio.gather(*(run.terminate() for run in runs))


async def make_keys(session: AsyncSession) -> list[str]:
    ends_at = utc_now() + timedelta(days=60)
    terms = NewKey(TENANT, "idle", ("read",), expires_at=ends_at)
    return [(await make_key(session, new_key(), terms)).id for _ in range(IDLE)]


async def start_all(
    temporal: Client, queue: str, keys: list[str]
) -> list[WorkflowHandle[Any, Any]]:
    gate = asyncio.Semaphore(32)

    async def start(key_id: str) -> WorkflowHandle[Any, Any]:
        async with gate:
            return await temporal.start_workflow(
                ApiKeyExpiry.run,
                KeyExpiryRequest(key_id),
                id=f"idle/{queue}/{key_id}",
                task_queue=queue,
            )

    return await asyncio.gather(*(start(key_id) for key_id in keys))


async def until_idle(runs: list[WorkflowHandle[Any, Any]], looks: list[datetime]) -> list[int]:
    """Wait until each has looked and waits for its timer. Returns the lengths of some histories."""
    await many(looks, IDLE)
    before: list[int] = []
    while (now := await lengths(runs[::100])) != before:
        before = now
        await asyncio.sleep(1)
    return before


async def many(looks: list[datetime], number: int) -> None:
    """Wait until there are so many."""
    async with asyncio.timeout(200):
        while True:
            if len(looks) >= number:
                return
            await asyncio.sleep(0.05)


async def lengths(runs: list[WorkflowHandle[Any, Any]]) -> list[int]:
    return [(await run.describe()).history_length for run in runs]

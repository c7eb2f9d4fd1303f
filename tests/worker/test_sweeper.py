"""What was accepted is started, whatever happened to the process that accepted it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.saga import SagaState
from runtime.database import Database
from runtime.settings import Settings
from runtime.starting import start_run
from runtime.temporal import SAGA_QUEUE
from storage.tables import SagaRun
from tests.conftest import worker
from tests.worker.runs import accept, accepted, an_account, state_of
from worker import sweeper
from worker.build import saga_implementations
from worker.sweeper import Sweeper

AT_ONCE = timedelta(0)


@pytest_asyncio.fixture
async def at_work(temporal: Client, sqlite: Database) -> AsyncIterator[None]:
    async with worker(temporal, SAGA_QUEUE, saga_implementations(Settings(), sqlite)):
        yield


async def test_an_accepted_saga_that_nobody_started_is_started(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    run = accepted("open_account", an_account(100))
    workflow_id = await accept(sqlite, run)

    assert await Sweeper(sqlite, temporal).sweep(older_than=AT_ONCE) == 1

    await temporal.get_workflow_handle(workflow_id).result()
    assert await state_of(sqlite, workflow_id) == SagaState.COMPLETED


async def test_two_sweepers_and_a_late_api_start_it_once(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    run = accepted("open_account", an_account(100))
    workflow_id = await accept(sqlite, run)

    sweeps = (Sweeper(sqlite, temporal).sweep(older_than=AT_ONCE) for _ in range(2))
    await asyncio.gather(*sweeps, start_run(temporal, run))
    await temporal.get_workflow_handle(workflow_id).result()
    await start_run(temporal, run)  # Ended by now: still a success, and no second run.

    first = await temporal.get_workflow_handle(workflow_id).describe()
    runs = [one async for one in temporal.list_workflows(f"WorkflowId = '{workflow_id}'")]
    assert [one.run_id for one in runs] == [first.run_id]


async def test_what_the_api_is_just_about_to_start_is_left_to_it(
    temporal: Client, sqlite: Database
) -> None:
    await accept(sqlite, accepted("open_account", an_account()))

    assert await Sweeper(sqlite, temporal).sweep() == 0


async def test_a_backlog_that_waits_for_workers_does_not_hide_what_was_never_started(
    temporal: Client, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def note(_: Client, run: SagaRun) -> None:
        asked.append(run.workflow_id)

    monkeypatch.setattr(sweeper, "start_run", note)
    backlog = [accepted("open_account", an_account()) for _ in range(250)]
    for run in backlog:
        await accept(sqlite, run)
    sweeping = Sweeper(sqlite, temporal)

    assert await sweeping.sweep(older_than=AT_ONCE) == 250
    lost = accepted("open_account", an_account())
    await accept(sqlite, lost)
    assert await sweeping.sweep(older_than=AT_ONCE) == 1

    assert asked[-1] == lost.workflow_id
    assert len(set(asked)) == 251


async def test_an_engine_that_is_away_is_asked_again(
    temporal: Client, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    async def away(_: Client, run: SagaRun) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")

    monkeypatch.setattr(sweeper, "start_run", away)
    await accept(sqlite, accepted("open_account", an_account()))
    sweeping = Sweeper(sqlite, temporal)

    assert await sweeping.sweep(older_than=AT_ONCE) == 0
    assert await sweeping.sweep(older_than=AT_ONCE) == 1

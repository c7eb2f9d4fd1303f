"""A run that was ended from outside tells its end all the same, once."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, Schedule, WorkflowFailureError, WorkflowHandle

from domain.ids import new_uuid
from domain.reconcile import ReconcileRequest, Swept
from domain.saga import SagaState
from domain.sandbox import Faults
from domain.transfer import TransferRequest
from runtime.database import Database
from runtime.settings import Settings
from runtime.starting import start_run
from runtime.temporal import SAGA_QUEUE
from runtime.undoing import CannotUndo, undo_run
from storage import views
from storage.audit import check_books
from storage.outbox import EVENTS
from storage.reconciling import FACTS, left_holds, needs_a_person
from storage.tables import Event, SagaRun
from tests.conftest import worker
from tests.worker.runs import accept, accepted, an_account, state_of
from worker.build import reconcile_implementation, saga_implementations
from worker.schedules import RECONCILE_SCHEDULE, ensure_schedule, reconcile_schedule
from workflows.progress import first_attributes
from workflows.reconcile import Reconcile

ONCE = ReconcileRequest(sweeps=1, overlap_s=5)
TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
UNNUMBERED = EVENTS.c.sequence.is_(None)
SLOW_RAIL = {"rail": Faults(confirm_after_ms=60_000)}


@pytest_asyncio.fixture
async def at_work(temporal: Client, sqlite: Database) -> AsyncIterator[None]:
    implementations = (
        *saga_implementations(Settings(), sqlite),
        reconcile_implementation(sqlite, temporal),
    )
    async with worker(temporal, SAGA_QUEUE, implementations):
        yield


async def test_a_terminated_saga_tells_that_it_failed_and_what_it_still_holds(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    run = await a_transfer_under_way(temporal, sqlite)
    await run.terminate("wrong customer")

    await sweep(temporal)

    *_, last = await story(sqlite, run.id)
    assert last["event_type"] == "workflow.failed"
    assert last["data"]["failure_reason"] == "terminated"
    assert last["data"]["compensation_triggered"] is False
    assert last["data"]["completed_steps"] == ["open_transfer", "hold_source", "submit_to_rail"]
    details = last["data"]["error_details"]["details"]
    assert details["manual_intervention_required"] is True
    assert [hold["amount_minor"] for hold in details["held"]] == [5, 5000]
    assert "wrong customer" not in str(last), "what operators write to each other is not told"
    assert await state_of(sqlite, run.id) == SagaState.FAILED


async def test_the_end_is_told_once_however_often_it_is_looked_for(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    run = await a_transfer_under_way(temporal, sqlite)
    await run.terminate()

    await asyncio.gather(*(sweep(temporal) for _ in range(3)))
    await forget_cursor(sqlite)
    await sweep(temporal)

    types = [event["event_type"] for event in await story(sqlite, run.id)]
    assert types.count("workflow.started") == types.count("workflow.failed") == 1
    assert types[-1] == "workflow.failed"


async def test_a_saga_that_the_server_timed_out_tells_its_timeout(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    run = accepted("open_account", an_account())
    await accept(sqlite, run)
    await start_to_be_timed_out(temporal, run)

    await ended(temporal, run.workflow_id)
    await sweep(temporal)

    story_of_it = await story(sqlite, run.workflow_id)
    assert [event["event_type"] for event in story_of_it] == [
        "workflow.started",
        "workflow.timeout",
    ]
    assert story_of_it[-1]["data"]["compensation_triggered"] is False
    assert await state_of(sqlite, run.workflow_id) == SagaState.TIMED_OUT


async def test_a_saga_terminated_before_it_began_tells_start_and_end(
    temporal: Client, sqlite: Database
) -> None:
    run = accepted("open_account", an_account())
    await accept(sqlite, run)
    await start_run(temporal, run)
    await temporal.get_workflow_handle(run.workflow_id).terminate()

    implementations = [reconcile_implementation(sqlite, temporal)]
    async with worker(temporal, SAGA_QUEUE, implementations):
        await sweep(temporal)

    started, failed = await story(sqlite, run.workflow_id)
    assert started["data"]["steps_planned"] == [
        "create_account",
        "verify_owner",
        "set_limits",
        "initial_deposit",
        "activate_account",
    ]
    assert failed["data"]["error_details"]["details"] == {}, "there is nothing to look after"


async def test_a_saga_that_ended_by_itself_is_left_alone(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    refused = TransferRequest(
        id=new_uuid(), from_account=new_uuid(), to_account=new_uuid(), amount="1.00"
    )
    run = accepted("transfer", refused)
    await accept(sqlite, run)
    await start_run(temporal, run)
    await ended(temporal, run.workflow_id)

    told = await story(sqlite, run.workflow_id)
    assert (await sweep(temporal)).looked_at >= 1

    assert await story(sqlite, run.workflow_id) == told


async def test_a_run_that_a_person_reset_is_not_over(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    run = await a_transfer_under_way(temporal, sqlite)
    await reset(temporal, run)  # Terminates this run, and starts another one under the same id.

    await sweep(temporal)

    assert await state_of(sqlite, run.id) == SagaState.RUNNING
    await temporal.get_workflow_handle(run.id).terminate()


async def test_a_sweep_reads_page_by_page_and_goes_on_where_the_last_one_ended(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    runs = [accepted("open_account", an_account()) for _ in range(5)]
    for run in runs:
        await accept(sqlite, run)
        await start_run(temporal, run)
        await temporal.get_workflow_handle(run.workflow_id).terminate()

    await sweep(temporal, replace(ONCE, page_size=2))

    assert {await state_of(sqlite, run.workflow_id) for run in runs} == {SagaState.FAILED}
    assert (await sweep(temporal, replace(ONCE, overlap_s=0))).looked_at == 0


async def test_doctor_can_list_what_is_held_by_runs_that_have_ended(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    run = await a_transfer_under_way(temporal, sqlite)
    async with sqlite.read() as session:
        assert await left_holds(session) == []
    await run.terminate()
    await sweep(temporal)

    async with sqlite.read() as session:
        left = await left_holds(session)

    assert {hold.workflow_id for hold in left} == {run.id}


async def test_an_operator_can_have_a_terminated_saga_undone(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    run = await a_transfer_under_way(temporal, sqlite)
    await run.terminate()
    await sweep(temporal)
    told = await story(sqlite, run.id)

    await undo_run(temporal, run.id, operator="ops")
    await ended(temporal, run.id)

    async with sqlite.read() as session:
        assert await left_holds(session) == []
        assert await check_books(session) == []
        row = await session.get_one(SagaRun, run.id)
        later = [event.type for event in await session.scalars(select(Event).where(UNNUMBERED))]
    assert row.state == SagaState.FAILED
    assert not needs_a_person(row)
    assert await story(sqlite, run.id) == told, "its story was over"
    assert later.count("workflow.compensation_executed") == 1
    assert later.count("transfer.failed") == 1
    assert later.count("account.balance_updated") == 2


async def test_what_runs_or_ended_by_itself_is_not_undone_from_outside(
    temporal: Client, sqlite: Database, at_work: None
) -> None:
    run = await a_transfer_under_way(temporal, sqlite)

    with pytest.raises(CannotUndo, match="is running"):
        await undo_run(temporal, run.id, operator="ops")

    await run.cancel()
    await ended(temporal, run.id)
    with pytest.raises(CannotUndo, match="is canceled"):
        await undo_run(temporal, run.id, operator="ops")


async def test_the_schedule_is_made_once_and_keeps_a_persons_pause(temporal: Client) -> None:
    await ensure_schedule(temporal, RECONCILE_SCHEDULE, wanted())
    handle = temporal.get_schedule_handle(RECONCILE_SCHEDULE)
    try:
        await handle.pause(note="looking into something")
        await ensure_schedule(temporal, RECONCILE_SCHEDULE, wanted())

        schedule = (await handle.describe()).schedule
        assert schedule.state.paused
        assert schedule.spec.intervals == wanted().spec.intervals
    finally:
        await handle.delete()


def wanted() -> Schedule:
    return reconcile_schedule(Settings().reconcile_interval)


async def sweep(temporal: Client, request: ReconcileRequest = ONCE) -> Swept:
    return await temporal.execute_workflow(
        Reconcile.run, request, id=f"reconcile-{uuid4()}", task_queue=SAGA_QUEUE
    )


async def a_transfer_under_way(temporal: Client, database: Database) -> WorkflowHandle[Any, Any]:
    """Its money is held, the rail has it, and has not confirmed yet."""
    accounts = [an_account(10_000), an_account()]
    for account in accounts:
        opened = accepted("open_account", account)
        await accept(database, opened)
        await start_run(temporal, opened)
        await ended(temporal, opened.workflow_id)
    request = TransferRequest(
        id=new_uuid(),
        from_account=accounts[0].id,
        to_account=accounts[1].id,
        amount="50.00",
        rail="wire",
        sandbox=SLOW_RAIL,
    )
    run = accepted("transfer", request)
    await accept(database, run)
    await start_run(temporal, run)
    async with asyncio.timeout(20):
        while "submit_to_rail" not in await steps_done(database, run.workflow_id):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return temporal.get_workflow_handle(run.workflow_id)


async def start_to_be_timed_out(temporal: Client, run: SagaRun) -> None:
    """As somebody might do by hand: our own sagas have no timeout of the server's."""
    await temporal.start_workflow(
        run.type,
        run.request["input"],
        id=run.workflow_id,
        task_queue="nobody-works-here",
        memo={"tenant_id": run.tenant_id, "initiated_by": run.initiated_by},
        search_attributes=first_attributes(run.type, run.tenant_id, run.workflow_id),
        execution_timeout=timedelta(seconds=1),
    )


async def reset(temporal: Client, run: WorkflowHandle[Any, Any]) -> None:
    history = await run.fetch_history()
    tasks = [event.event_id for event in history.events if event.event_type == TASK_COMPLETED]
    await temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.id),
            workflow_task_finish_event_id=tasks[0],
            reason="a person wants to see it again",
            request_id=str(uuid4()),
        )
    )


async def ended(temporal: Client, workflow_id: str) -> None:
    with contextlib.suppress(WorkflowFailureError):
        await temporal.get_workflow_handle(workflow_id).result()


async def steps_done(database: Database, workflow_id: str) -> list[str]:
    async with database.read() as session:
        return [step.name for step in await views.steps_of(session, workflow_id)]


async def story(database: Database, workflow_id: str) -> list[dict[str, Any]]:
    """The events that the workflow itself tells."""
    async with database.read() as session:
        events = await views.story_of(session, workflow_id)
    bodies = [json.loads(event.body) for event in events if event.body is not None]
    return [body for body in bodies if body["event_type"].startswith("workflow.")]


async def forget_cursor(database: Database) -> None:
    async def work(session: AsyncSession) -> None:
        await session.execute(delete(FACTS))

    await database.transact(work)

"""Sagas that wait: for people, for signals, for time, and for ever."""

from typing import Any

import pytest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)

from domain.operate import Approval
from tests.workflows.acting import Actors, Stage, history, outcome_of, stage, until
from workflows.progress import SAGA_STATE, SAGA_TYPE, TENANT_ID


async def test_an_approved_saga_goes_on(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await asked(on, actors)
        answer = await handle.execute_update("approve", Approval(approved=True, by="ada"))
        await handle.signal("arrived")
        assert await handle.result() == {"approved_by": "ada"}

    assert answer == "large_amount: approved by ada"
    assert actors.calls == ["one", "three"]


async def test_a_saga_that_waits_first_tells_that_it_started(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await asked(on, actors)
        assert actors.begun == [handle.id]
        assert (await handle.query("progress"))["awaiting_approval"] == ["large_amount"]
        await handle.terminate()


async def test_a_rejected_saga_fails_with_the_reason(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await asked(on, actors)
        await handle.execute_update("approve", Approval(approved=False, by="ada"))
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    failure = actors.end().failure
    assert failure is not None
    assert (failure.step, failure.code) == ("large_amount", "approval_rejected")


async def test_an_approval_that_nobody_gives_times_out(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        failure = await outcome_of(on, "approved", rounds=0)

    assert failure.type == "approval_timeout"
    assert actors.calls == []


async def test_an_approval_that_nothing_awaits_is_refused(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await asked(on, actors)
        other = Approval(approved=True, by="ada", what="small_amount")
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("approve", other)
        await handle.terminate()


async def test_cancelling_ends_a_wait_before_the_pivot(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await asked(on, actors)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED

    assert actors.end().state == "cancelled"


async def test_cancelling_does_not_reach_a_wait_after_the_pivot(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await asked(on, actors)
        await handle.execute_update("approve", Approval(approved=True, by="ada"))
        await until(lambda: "three" in actors.calls)
        await handle.cancel()
        await handle.signal("arrived")
        assert await handle.result() == {"approved_by": "ada"}


@pytest.mark.parametrize(("rounds", "called"), [(0, False), (1, True)])
async def test_a_pause_ends_with_its_time_or_with_a_signal(
    temporal: Client, rounds: int, called: bool
) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await on.start("restless", rounds=rounds)
        if called:
            await handle.signal("call")

        assert await handle.result() == {"called": called}

    assert actors.calls == ["one"]


async def test_a_cancel_ends_a_pause(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await on.start("restless", rounds=1)
        await until(lambda: actors.begun == [handle.id])
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert actors.calls == []


async def test_a_long_running_saga_goes_on_in_new_runs_as_the_same_story(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        first = await on.start("watch")
        await first.result()
        last = await temporal.get_workflow_handle(first.id).describe()
        assert last.run_id != first.first_execution_run_id
        found = last.typed_search_attributes

    assert (found.get(SAGA_TYPE), found.get(SAGA_STATE)) == ("watch", "completed")
    assert actors.begun == [first.id]
    saga = actors.end().saga
    assert saga.run_id == first.first_execution_run_id
    assert saga.started_at < last.start_time
    assert actors.calls == ["weather"] * 5 + ["one"]


async def test_a_saga_without_its_memo_says_how_to_start_it(temporal: Client) -> None:
    async with stage(temporal, Actors()) as on:
        with pytest.raises(WorkflowFailureError) as failure:
            await temporal.execute_workflow(
                "straight", {"id": "1"}, id="straight/no-memo", task_queue=on.queue
            )

    assert "start sagas by the API" in str(failure.value.cause)


async def test_a_saga_started_without_search_attributes_gets_them(temporal: Client) -> None:
    async with stage(temporal, Actors()) as on:
        handle = await temporal.start_workflow(
            "straight",
            {"id": "2"},
            id="straight/no-attributes",
            task_queue=on.queue,
            memo={"tenant_id": "ten_7", "initiated_by": "ada"},
        )
        await handle.result()
        found = (await handle.describe()).typed_search_attributes

    assert (found.get(SAGA_TYPE), found.get(TENANT_ID)) == ("straight", "ten_7")
    assert found.get(SAGA_STATE) == "completed"


async def test_every_activity_has_a_summary_and_the_steps_are_a_table(temporal: Client) -> None:
    async with stage(temporal, Actors()) as on:
        handle = await on.start("abroad")
        await handle.result()
        scheduled = [
            event
            for event in await history(handle)
            if event.HasField("activity_task_scheduled_event_attributes")
        ]
        metadata = await handle.query("__temporal_workflow_metadata")

    assert [event.user_metadata.summary.data for event in scheduled] == [b'"two"']
    assert "| ✔ | two | done |" in metadata.current_details


async def asked(on: Stage, actors: Actors) -> WorkflowHandle[Any, Any]:
    handle = await on.start("approved", rounds=1)
    await until(lambda: bool(actors.begun))
    return handle

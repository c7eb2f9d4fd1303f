import asyncio
from typing import Any

import pytest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)

from domain.saga import StepCall
from tests.workflows.acting import (
    Actors,
    Gate,
    Stage,
    fails,
    history,
    outcome_of,
    refuses,
    stage,
    takes,
    until,
)


async def test_a_saga_runs_its_steps_in_order_and_tells_its_end_once(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        result = await on.run("straight")

    assert result == {"one": "one", "five": "five"}
    assert actors.calls == ["one", "two", "three", "four", "five"]
    assert actors.end().state == "completed"


async def test_a_refusal_undoes_the_earlier_steps_in_reverse(temporal: Client) -> None:
    actors = Actors(three=refuses("account_frozen"))
    async with stage(temporal, actors) as on:
        failure = await outcome_of(on, "straight")

    assert failure.type == "account_frozen"
    assert actors.calls == ["one", "two", "three", "undo_two", "undo_one"]
    end = actors.end()
    assert (end.state, end.failure and end.failure.step) == ("failed", "three")
    assert [one.step for one in end.compensations] == ["two", "one"]


async def test_a_step_that_failed_is_undone_too_because_nobody_knows_what_it_did(
    temporal: Client,
) -> None:
    actors = Actors(two=fails())
    async with stage(temporal, actors) as on:
        failure = await outcome_of(on, "called")

    assert failure.type == "rail_unavailable"
    assert actors.calls == ["two", "two", "two", "undo_two"]


async def test_a_step_of_our_own_is_tried_until_it_succeeds(temporal: Client) -> None:
    actors = Actors(one=fails(5))
    async with stage(temporal, actors) as on:
        await on.run("straight")

    assert actors.calls[:7] == ["one"] * 6 + ["two"]


async def test_a_refusal_carries_its_code_and_no_stack_trace(temporal: Client) -> None:
    async with stage(temporal, Actors(two=refuses("limit_exceeded"))) as on:
        handle = await on.start("straight")
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        events = await history(handle)

    failure = events[-1].workflow_execution_failed_event_attributes.failure
    assert failure.application_failure_info.type == "limit_exceeded"
    assert failure.message == "two: no"
    assert failure.stack_trace == ""


async def test_a_bug_in_the_saga_undoes_nothing(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await on.start("buggy")
        await until(lambda: "one" in actors.calls)
        await asyncio.sleep(0.3)
        assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
        await handle.terminate()

    assert set(actors.calls) == {"one"}


# Cancelling


async def test_cancelling_undoes_what_was_done(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(two=gate)
    async with stage(temporal, actors) as on:
        handle = await on.start("abroad")
        await gate.reached.wait()
        await handle.cancel()
        gate.opened.set()
        assert await status_of(handle) == WorkflowExecutionStatus.CANCELED

    assert actors.calls == ["one", "two", "undo_two", "undo_one"]
    assert actors.end().state == "cancelled"


async def test_a_step_that_ends_in_spite_of_a_cancel_does_not_swallow_it(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(two=gate)
    async with stage(temporal, actors) as on:
        handle = await on.start("called")
        await gate.reached.wait()
        await handle.cancel()
        await asyncio.sleep(0.2)
        assert "undo_two" not in actors.calls, "a compensation must not race its action"
        gate.opened.set()
        assert await status_of(handle) == WorkflowExecutionStatus.CANCELED

    assert actors.calls == ["two", "undo_two"]


async def test_cancelling_before_the_first_task_is_still_told(temporal: Client) -> None:
    actors = Actors()
    handle = await Stage(temporal, "not yet").start("straight")
    await handle.cancel()
    async with stage(temporal, actors, queue="not yet"):
        assert await status_of(handle) == WorkflowExecutionStatus.CANCELED

    assert actors.calls == []
    assert actors.end().state == "cancelled"


async def test_cancelling_while_compensating_does_not_stop_it(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(three=refuses(), undo_two=gate)
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await gate.reached.wait()
        await handle.cancel()
        await asyncio.sleep(0.2)
        assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
        gate.opened.set()
        assert await status_of(handle) == WorkflowExecutionStatus.FAILED

    assert actors.calls == ["one", "two", "three", "undo_two", "undo_one"]
    assert actors.end().state == "failed"


async def test_cancelling_at_the_pivot_comes_too_late(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(three=gate)
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await gate.reached.wait()
        await handle.cancel()
        await asyncio.sleep(0.1)
        gate.opened.set()
        assert await handle.result() == {"one": "one", "five": "five"}

    assert actors.end().state == "completed"


async def test_cancelling_after_the_pivot_changes_nothing(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(four=gate)
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await gate.reached.wait()
        await handle.cancel()
        gate.opened.set()
        await handle.result()

    assert actors.calls == ["one", "two", "three", "four", "five"]


# Deadlines


async def test_a_deadline_that_passes_undoes_and_says_so(temporal: Client) -> None:
    actors = Actors(two=takes(1.5))
    async with stage(temporal, actors) as on:
        failure = await outcome_of(on, "abroad")

    assert failure.type == "deadline_exceeded"
    assert actors.calls == ["one", "two", "undo_two", "undo_one"]
    assert actors.end().state == "timed_out"


async def test_a_deadline_means_nothing_once_the_pivot_began(temporal: Client) -> None:
    actors = Actors(three=takes(1.5))
    async with stage(temporal, actors) as on:
        await on.run("abroad")

    assert actors.end().state == "completed"


async def test_a_deadline_may_pass_before_the_first_step(temporal: Client) -> None:
    actors = Actors(begin_saga=takes(0.6))
    async with stage(temporal, actors) as on:
        failure = await outcome_of(on, "late")

    assert failure.type == "deadline_exceeded"
    assert actors.calls == []


# Costs


@pytest.mark.parametrize(("saga_type", "steps"), [("straight", 5), ("abroad", 3), ("called", 2)])
async def test_a_saga_costs_at_most_two_activities_more_than_it_has_steps(
    temporal: Client, saga_type: str, steps: int
) -> None:
    async with stage(temporal, Actors()) as on:
        handle = await on.start(saga_type)
        await handle.result()
        events = await history(handle)

    activities = [
        event
        for event in events
        if event.HasField("marker_recorded_event_attributes")
        or event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert len(activities) <= steps + 2


async def test_a_saga_without_outside_parties_is_one_workflow_task(temporal: Client) -> None:
    async with stage(temporal, Actors()) as on:
        handle = await on.start("straight")
        await handle.result()
        events = await history(handle)

    tasks = [e for e in events if e.HasField("workflow_task_completed_event_attributes")]
    assert len(tasks) == 1
    assert not any(e.HasField("timer_started_event_attributes") for e in events)


# Several at once


async def test_steps_side_by_side_are_under_way_at_the_same_time(temporal: Client) -> None:
    first, second = Gate(), Gate()
    actors = Actors(one=first, two=second)
    async with stage(temporal, actors) as on:
        handle = await on.start("abreast")
        await asyncio.gather(first.reached.wait(), second.reached.wait())
        first.opened.set()
        second.opened.set()
        await handle.result()

    assert sorted(actors.calls[:2]) == ["one", "two"]
    assert actors.calls[2:] == ["four", "three"]


async def test_when_one_branch_fails_the_other_is_called_off_and_both_are_undone(
    temporal: Client,
) -> None:
    gate = Gate()

    async def refuse_once_the_other_runs(call: StepCall[object]) -> None:
        await gate.reached.wait()
        await refuses("account_frozen")(call)

    actors = Actors(one=refuse_once_the_other_runs, two=gate)
    async with stage(temporal, actors) as on:
        handle = await on.start("abreast")
        await gate.reached.wait()
        await asyncio.sleep(0.2)
        gate.opened.set()
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert sorted(actors.calls) == ["one", "two", "undo_one", "undo_two"]
    end = actors.end()
    assert end.failure is not None
    assert (end.failure.step, end.failure.code) == ("one", "account_frozen")


async def test_no_more_run_at_once_than_allowed(temporal: Client) -> None:
    running, most = 0, 0

    async def count(_: StepCall[object]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1

    actors = Actors(two=count)
    async with stage(temporal, actors) as on:
        await on.run("rounds", rounds=6)

    assert actors.calls.count("two") == 6
    assert most == 2


async def test_cancelling_reaches_every_branch(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(two=gate)
    async with stage(temporal, actors) as on:
        handle = await on.start("rounds", rounds=5)
        await until(lambda: actors.calls.count("two") == 2)
        await handle.cancel()
        gate.opened.set()
        assert await status_of(handle) == WorkflowExecutionStatus.CANCELED

    assert actors.calls.count("two") == 2
    assert actors.calls.count("undo_two") == 2


async def status_of(handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionStatus | None:
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    return (await handle.describe()).status

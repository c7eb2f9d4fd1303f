"""Sagas as steps of sagas."""

from functools import partial
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)

from domain.operate import Decision, Verdict
from domain.saga import StepCall
from tests.lifecycle import eventually
from tests.workflows.acting import Actors, Behaviour, Gate, outcome_of, refuses, stage, until

CANCEL_REQUESTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
CHILD_STEPS = ["one", "two", "three", "four", "five"]


async def test_a_completed_child_is_reversed_by_another_saga(temporal: Client) -> None:
    actors = Actors(four=only_in("parent", refuses("account_frozen")))
    async with stage(temporal, actors, cached=100) as on:
        failure = await outcome_of(on, "parent")

    assert failure.type == "account_frozen"
    assert actors.calls == [*CHILD_STEPS, "child straight", "four", *CHILD_STEPS]
    parent = actors.ends[-1]
    [undone] = parent.compensations
    assert (undone.step, undone.action, undone.undone.status) == ("there", "straight", "executed")


async def test_a_child_that_fails_undoes_itself_and_is_not_reversed(temporal: Client) -> None:
    actors = Actors(three=refuses("account_frozen"))
    async with stage(temporal, actors, cached=100) as on:
        failure = await outcome_of(on, "parent")

    assert failure.type == "account_frozen"
    assert actors.calls == ["one", "two", "three", "undo_two", "undo_one"]
    [undone] = actors.ends[-1].compensations
    assert undone.undone.status == "noop"


async def test_a_child_that_cannot_be_reversed_is_the_pivot(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(five=gate)
    async with stage(temporal, actors, cached=100) as on:
        handle = await on.start("last_child")
        await gate.reached.wait()
        await handle.cancel()
        gate.opened.set()
        await handle.result()

    assert "undo_two" not in actors.calls


async def test_cancelling_a_parent_cancels_its_child_first(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(two=in_child("called", gate))
    async with stage(temporal, actors, cached=100) as on:
        handle = await on.start("last_child")
        await gate.reached.wait()
        await handle.cancel()
        await eventually(partial(is_asked_to_stop, child_of(temporal, handle, "called")))
        gate.opened.set()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED

    assert [end.saga.type for end in actors.ends] == ["called", "last_child"]
    assert {end.state for end in actors.ends} == {"cancelled"}
    assert actors.calls == ["two", "two", "undo_two", "undo_two"]


async def test_a_parent_whose_child_was_cancelled_alone_has_failed(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(two=in_child("called", gate))
    async with stage(temporal, actors, cached=100) as on:
        handle = await on.start("last_child")
        await gate.reached.wait()
        await child_of(temporal, handle, "called").cancel()
        gate.opened.set()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert (await handle.describe()).status == WorkflowExecutionStatus.FAILED

    assert actors.ends[-1].state == "failed"


async def test_a_child_may_be_allowed_to_fail(temporal: Client) -> None:
    actors = Actors(three=refuses("account_frozen"))
    async with stage(temporal, actors, cached=100) as on:
        result = await on.run("best_effort")

    assert result == {"child": "account_frozen"}
    assert actors.ends[-1].state == "completed"


async def test_a_child_whose_id_is_in_use_is_a_duplicate(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(two=gate)
    async with stage(temporal, actors, cached=100) as on:
        handle = await on.start("last_child")
        await gate.reached.wait()
        await on.start("called", business_id=f"{handle.id.partition('/')[2]}-child")
        gate.opened.set()
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    parent = next(end for end in actors.ends if end.saga.type == "last_child")
    assert parent.failure is not None
    assert parent.failure.code == "duplicate_request"


async def test_a_reversal_that_fails_waits_for_an_operator_who_tries_another(
    temporal: Client,
) -> None:
    refusing = refuses("limit_exceeded")

    async def refuse_reversals(call: StepCall[Any]) -> None:
        if call.saga.workflow_id.endswith("-back"):
            await refusing(call)

    actors = Actors(four=only_in("parent", refuses()), one=refuse_reversals)
    async with stage(temporal, actors, cached=100) as on:
        handle = await on.start("parent")
        await until(lambda: bool(actors.stuck))
        await handle.execute_update("operate", Decision(Verdict.RETRY, "ada"))
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert actors.ends[-2].saga.workflow_id.endswith("-back~2")
    assert actors.ends[-2].state == "completed"


def only_in(saga_type: str, behaviour: Behaviour) -> Behaviour:
    async def behave(call: StepCall[Any]) -> None:
        if call.saga.type == saga_type:
            await behaviour(call)

    return behave


in_child = only_in


def child_of(
    temporal: Client, parent: WorkflowHandle[Any, Any], child_type: str
) -> WorkflowHandle[Any, Any]:
    return temporal.get_workflow_handle(f"{child_type}/{parent.id.partition('/')[2]}-child")


async def is_asked_to_stop(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether a cancel stands in its history, so that whatever ends later comes after it."""
    history = await handle.fetch_history()
    return CANCEL_REQUESTED in [event.event_type for event in history.events]

"""A pivot that an outside party gave back: the saga turns back after all, and in order."""

import pytest
from temporalio.client import Client, WorkflowFailureError

from domain.saga import SagaState, UndoStatus
from tests.workflows.acting import Actors, Gate, fails, outcome_of, stage


async def test_what_was_done_before_the_pivot_is_undone_after_the_pivot_itself(
    temporal: Client,
) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        failure = await outcome_of(on, "given_back")

    assert failure.type == "rail_timeout"
    assert actors.calls == ["one", "two", "five", "undo_two", "undo_one"]
    end = actors.end()
    assert end.state is SagaState.FAILED
    assert end.failure is not None
    assert (end.failure.step, end.failure.text) == ("five", "it came back")
    assert [one.undone.status for one in end.compensations] == [UndoStatus.EXECUTED] * 2


async def test_nothing_before_it_is_undone_until_the_pivot_is(temporal: Client) -> None:
    actors = Actors(undo_two=fails(2))
    async with stage(temporal, actors) as on:
        await outcome_of(on, "given_back")

    assert actors.calls == ["one", "two", "five", *["undo_two"] * 3, "undo_one"]


async def test_a_cancel_after_the_pivot_changes_nothing_of_it(temporal: Client) -> None:
    gate = Gate()
    actors = Actors(five=gate)
    async with stage(temporal, actors, cached=10) as on:
        handle = await on.start("given_back")
        await gate.reached.wait()
        await handle.cancel()
        gate.opened.set()
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    end = actors.end()
    assert end.state is SagaState.FAILED
    assert end.failure is not None
    assert end.failure.code == "rail_timeout"
    assert actors.calls[-2:] == ["undo_two", "undo_one"]

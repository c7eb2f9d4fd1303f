"""Stuck sagas, and the people who decide how they go on."""

import asyncio
from typing import Any

import pytest
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError

from domain.operate import Decision, Verdict
from tests.workflows.acting import Actors, fails, refuses, stage, until
from workflows.progress import FAILED_STEP, SAGA_STATE


async def test_a_saga_that_can_neither_finish_nor_undo_is_stuck_and_says_so(
    temporal: Client,
) -> None:
    actors = Actors(three=refuses(), undo_two=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        await say_so(handle, "stuck", "two")
        assert actors.stuck[0].text == "two: no"
        await decide(handle, Verdict.SKIP)
        await end_of(handle)


async def test_one_compensation_that_fails_does_not_stop_the_rest(temporal: Client) -> None:
    actors = Actors(three=refuses(), undo_two=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        assert actors.calls[-2:] == ["undo_two", "undo_one"]
        await decide(handle, Verdict.SKIP)
        await end_of(handle)


async def test_a_step_that_must_be_undone_first_holds_the_earlier_ones_back(
    temporal: Client,
) -> None:
    actors = Actors(three=refuses(), undo_two=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("abroad")
        await until(lambda: bool(actors.stuck))
        assert actors.calls[-1] == "undo_two"
        await decide(handle, Verdict.RESOLVE)
        await end_of(handle)

    assert actors.calls[-2:] == ["undo_two", "undo_one"]


async def test_retry_tries_the_compensation_again(temporal: Client) -> None:
    actors = Actors(three=refuses("account_frozen"), undo_two=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        del actors.behaviours["undo_two"]
        await decide(handle, Verdict.RETRY)
        assert (await end_of(handle)).type == "account_frozen"

    two = next(one for one in actors.end().compensations if one.step == "two")
    assert (two.undone.status, two.attempts) == ("executed", 2)


@pytest.mark.parametrize(
    ("verdict", "status", "said"),
    [
        (Verdict.SKIP, "skipped", "two: no; skipped by ada: by phone"),
        (Verdict.RESOLVE, "executed", "two: no; settled by hand by ada: by phone"),
    ],
)
async def test_the_end_tells_what_an_operator_answered_for(
    temporal: Client, verdict: Verdict, status: str, said: str
) -> None:
    actors = Actors(three=refuses(), undo_two=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        await decide(handle, verdict)
        await end_of(handle)

    two, one = actors.end().compensations
    assert (two.undone.status, two.error) == (status, said)
    assert one.undone.status == "executed"


async def test_after_the_pivot_a_refused_step_waits_for_an_operator(temporal: Client) -> None:
    actors = Actors(four=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        await say_so(handle, "stuck", "four")
        del actors.behaviours["four"]
        await decide(handle, Verdict.RETRY)
        assert (await handle.result())["five"] == "five"
        await say_so(handle, "completed", None)

    assert not any(call.startswith("undo") for call in actors.calls)


async def test_skip_goes_on_without_the_step(temporal: Client) -> None:
    actors = Actors(four=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        await decide(handle, Verdict.SKIP)
        await handle.result()

    assert actors.calls == ["one", "two", "three", "four", "five"]
    assert actors.end().state == "completed"


async def test_resolve_after_the_pivot_ends_the_saga_as_settled_by_hand(temporal: Client) -> None:
    actors = Actors(four=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        await decide(handle, Verdict.RESOLVE)
        result = await handle.result()

    by_hand = {"step": "four", "operator": "ada", "note": "by phone"}
    assert result == {"settled_by_hand": by_hand}
    assert actors.end().result == {"settled_by_hand": by_hand}
    assert "five" not in actors.calls


async def test_a_step_that_keeps_failing_calls_an_operator_and_is_tried_on(
    temporal: Client,
) -> None:
    actors = Actors(four=fails())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        del actors.behaviours["four"]
        await handle.result()

    assert actors.end().state == "completed"


async def test_a_compensation_that_keeps_failing_calls_an_operator_and_is_tried_on(
    temporal: Client,
) -> None:
    actors = Actors(three=refuses("account_frozen"), undo_one=fails())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        await say_so(handle, "stuck", "one")
        del actors.behaviours["undo_one"]
        assert (await end_of(handle)).type == "account_frozen"
        await say_so(handle, "failed", "three")

    assert {one.undone.status for one in actors.end().compensations} == {"executed"}


async def test_an_operator_can_skip_what_is_still_being_tried(temporal: Client) -> None:
    actors = Actors(three=refuses(), undo_one=fails())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        await decide(handle, Verdict.SKIP)
        await end_of(handle)

    assert actors.end().compensations[-1].undone.status == "skipped"


async def test_a_saga_that_is_not_stuck_takes_no_decisions(temporal: Client) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await on.start("approved", rounds=1)
        await until(lambda: bool(actors.begun))
        assert await refused(decide(handle, Verdict.RETRY)) == "not_stuck"
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()


async def test_a_verdict_that_does_not_exist_is_refused_and_changes_nothing(
    temporal: Client,
) -> None:
    actors = Actors(four=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("operate", {"verdict": "hope", "operator": "ada"})
        await decide(handle, Verdict.SKIP)
        await handle.result()


async def test_a_step_whose_result_is_needed_cannot_be_skipped(temporal: Client) -> None:
    actors = Actors(five=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        assert await refused(decide(handle, Verdict.SKIP)) == "verdict_not_allowed"
        await decide(handle, Verdict.RESOLVE)
        assert "settled_by_hand" in await handle.result()


async def test_the_second_of_two_decisions_is_refused(temporal: Client) -> None:
    actors = Actors(four=refuses())
    async with stage(temporal, actors) as on:
        handle = await on.start("straight")
        await until(lambda: bool(actors.stuck))
        answers = await asyncio.gather(
            decide(handle, Verdict.SKIP), decide(handle, Verdict.SKIP), return_exceptions=True
        )
        await handle.result()

    assert len([one for one in answers if isinstance(one, WorkflowUpdateFailedError)]) == 1


async def test_a_cancel_that_reaches_a_careless_wait_after_the_pivot_undoes_nothing(
    temporal: Client,
) -> None:
    actors = Actors()
    async with stage(temporal, actors) as on:
        handle = await on.start("careless")
        await until(lambda: "three" in actors.calls)
        await asyncio.sleep(0.2)
        await handle.cancel()
        await until(lambda: bool(actors.stuck))
        assert await refused(decide(handle, Verdict.SKIP)) == "verdict_not_allowed"
        await decide(handle, Verdict.RESOLVE)
        await handle.result()

    assert actors.calls == ["one", "three"]


async def decide(handle: WorkflowHandle[Any, Any], verdict: Verdict) -> str:
    answer: str = await handle.execute_update("operate", Decision(verdict, "ada", "by phone"))
    return answer


async def refused(deciding: Any) -> str | None:
    with pytest.raises(WorkflowUpdateFailedError) as refusal:
        await deciding
    assert isinstance(refusal.value.cause, ApplicationError)
    return refusal.value.cause.type


async def end_of(handle: WorkflowHandle[Any, Any]) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert isinstance(failure.value.cause, ApplicationError)
    return failure.value.cause


async def say_so(handle: WorkflowHandle[Any, Any], state: str, failed_step: str | None) -> None:
    """The search attributes and the progress query are true once the task is done."""
    async with asyncio.timeout(10):
        while await seen(handle) != (state, failed_step):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (await handle.query("progress"))["state"] == state


async def seen(handle: WorkflowHandle[Any, Any]) -> tuple[str | None, str | None]:
    found = (await handle.describe()).typed_search_attributes
    return found.get(SAGA_STATE), found.get(FAILED_STEP)

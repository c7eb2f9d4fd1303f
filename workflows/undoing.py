"""Turn a saga back: undo its steps in reverse, and leave nothing undone unseen.

One compensation that fails does not stop the rest, unless its step says `undo_first`. What then
is still not undone goes to the operator's desk.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow

from domain.operate import Decision, Verdict
from domain.saga import Compensation, Failure, StepCall, Undone, UndoStatus
from workflows import steps
from workflows.operators import OperatorDesk, Tries
from workflows.progress import Progress
from workflows.steps import Step

Request = TypeVar("Request")


@dataclass(frozen=True)
class Undoable:
    """A started step and its way back. `undo` takes why, and the number of the try."""

    step: str
    action: str
    undo: Callable[[Failure, int], Coroutine[Any, Any, Undone]]
    undo_first: bool = False
    stuck_after: timedelta = Step.stuck_after


def undoable(step: Step[Request, Any], call: StepCall[Request]) -> Undoable:
    """The step's own compensation, with the request of its action."""
    assert step.compensation is not None

    async def undo(failure: Failure, _: int) -> Undone:
        return await steps.compensate(step, replace(call, compensatable=False, failure=failure))

    action = step.compensation.__name__
    return Undoable(call.step, action, undo, step.undo_first, step.stuck_after)


class Undoing:
    """What has been started and may have to be undone."""

    def __init__(self, desk: OperatorDesk, progress: Progress) -> None:
        self._desk = desk
        self._progress = progress
        self._started: list[Undoable] = []

    def __bool__(self) -> bool:
        return bool(self._started)

    def remember(self, one: Undoable) -> None:
        self._started.append(one)

    async def everything(self, failure: Failure) -> tuple[Compensation, ...]:
        """Undo it all, last first. Returns what came of each, in that order."""
        done: dict[str, Compensation] = {}
        left: list[tuple[Undoable, Tries[Undone]]] = []
        for one in reversed(self._started):
            tries = _tries(one, failure)
            if await tries.patiently() or one.undo_first:
                done[one.step] = await self._settle(one, tries)
            else:
                left.append((one, tries))
        for one, tries in left:
            done[one.step] = await self._settle(one, tries)
        return tuple(done[one.step] for one in reversed(self._started))

    async def _settle(self, one: Undoable, tries: Tries[Undone]) -> Compensation:
        decision = await self._desk.settle(tries)
        undone = tries.result if decision is None else _answered_for(decision)
        error = tries.why or None
        if decision is not None:
            error = f"{tries.why}; {decision}"
        self._progress.undone(one.step, undone)
        attempts = tries.number - 1 + undone.attempts
        return Compensation(one.step, one.action, undone, attempts, workflow.now(), error)


def _tries(one: Undoable, failure: Failure) -> Tries[Undone]:
    return Tries(one.step, lambda number: one.undo(failure, number), patience=one.stuck_after)


def _answered_for(decision: Decision) -> Undone:
    by_hand = decision.verdict is Verdict.RESOLVE
    return Undone(UndoStatus.EXECUTED if by_hand else UndoStatus.SKIPPED)

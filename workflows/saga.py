"""The saga engine: run steps in order and, if one fails, undo the earlier ones.

    run ──► run ──► pivot ──► run ──► complete
     │       │        │
    undo ◄─ undo ◄── refused, cancelled, deadline

Rules that keep money safe when a step's outcome is unknown (a timeout, a crash):

* a compensation is registered before its action starts, and takes the action's request;
* compensations run in reverse, each until it succeeds, and nothing interrupts them;
* the pivot is never interrupted; after it the saga only goes forward, unless whoever did what
  it asked for gave that back (`turn_back`);
* what can neither finish nor be undone is *stuck*: it waits for an operator, visibly;
* a saga's last act is to tell how it ended, in one commit.

In a saga wait by `saga.sleep`, `pause`, `wait_for` or `approval`, never by asyncio alone: after
the pivot a cancel must not reach the wait.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, FailureError

from activities.ports import SagaActivities
from domain.errors import StepFenced
from domain.operate import Verdict
from domain.saga import (
    ChildEnd,
    Nothing,
    SagaRequest,
    SagaState,
    StepCall,
    Told,
)
from workflows import identity, steps
from workflows.approvals import Approvals
from workflows.brakes import Brakes
from workflows.children import Child, ChildOutcome, undone_by
from workflows.ending import Ending, SettledByHand
from workflows.failures import SAGA_ENDS, failure_of, refusal
from workflows.operators import EVERY_VERDICT, OperatorDesk, Tries
from workflows.progress import Progress
from workflows.steps import Step
from workflows.undoing import Undoing, undoable
from workflows.uninterrupted import Branches, finish
from workflows.waits import Waits

Request = TypeVar("Request")
Result = TypeVar("Result")

BEGIN = Step(SagaActivities.begin_saga)
# Its work is a saga; recording that it is done is ours.
LOCAL_CHILD = Step(SagaActivities.record_child)
CHILD = replace(LOCAL_CHILD, outside=True)

# A step whose result is used later cannot be left out.
NEEDED = EVERY_VERDICT - {Verdict.SKIP}


class Saga(Waits):
    """`async with Saga(STEPS) as saga:` undoes its steps if the block ends with an error.

    `deadline` counts from the start; it passes into nothing once the pivot began. Return
    `saga.result` after the block: an operator may end the block early.
    """

    def __init__(
        self,
        planned: Sequence[Step[Any, Any]],
        *,
        subject: tuple[str, str] | None = None,
        deadline: timedelta | None = None,
    ) -> None:
        self.result: dict[str, Any] = {}
        self._planned = tuple(step.name for step in planned)
        self.info = identity.saga_info(self._planned, subject, deadline)
        self._progress = Progress(self.info)
        self._desk = OperatorDesk(self.info, self._progress)
        self._approvals = Approvals(self._progress)
        self._undoing = Undoing(self._desk, self._progress)
        self._ending = Ending(self.info, self._progress, self._desk, self._undoing)
        self._used: set[str] = set()
        self._at = self._planned[0] if self._planned else ""
        self._failed_at = ""
        self._begun = identity.is_continued()
        self._brakes = Brakes(self.info)
        self._side_by_side = 0

    # Steps

    async def begin(self) -> None:
        """Tell `workflow.started` now, before something that may take long."""
        if not self._begun and not self._brakes.on:
            self._begun = True
            await finish(steps.act(BEGIN, self._bare_call("begin", Nothing())))

    async def run(
        self, step: Step[Request, Result], request: Request, *, name: str | None = None
    ) -> Result:
        """Run one step. `name` tells the rounds of a loop apart: it must be unique in the saga."""
        call = self._call(step, request, name)
        if self._brakes.released:
            allowed = EVERY_VERDICT if step.gives_nothing else NEEDED
            tries = Tries(call.step, lambda _: steps.act(step, call), patience=step.stuck_after)
            return await finish(self._forward(tries, allowed))
        await self._ready(step)
        if self._brakes.on:
            return await self._if_done_before(step, call)
        if step.compensation is not None:
            self._undoing.remember(undoable(step, call))
        work = self._complete(call, steps.act(step, call))
        return await (self._brakes.wait(work) if step.outside else finish(work))

    async def pivot(
        self, step: Step[Request, Result], request: Request, *, name: str | None = None
    ) -> Result:
        """Run the step of no return: if it succeeds the saga only goes forward.

        A pivot with a compensation may give up after `attempts_max` and be called off; one
        without is tried until it is known whether it was done.
        """
        assert not self._brakes.released, "a saga has one pivot"
        assert not self._side_by_side, "nothing may run beside the pivot: it could fail after it"
        call = self._call(step, request, name)
        await self._ready(step)
        if self._brakes.on:
            result = await self._if_done_before(step, call)
        else:
            self._brakes.disregard_deadline()
            if step.compensation is not None:
                self._undoing.remember(undoable(step, call))
            result = await self._pivot(step, call)
        self._brakes.release()
        return result

    def turn_back(self, code: str, text: str) -> NoReturn:
        """After the pivot, where an outside party gave back what it did: undo the rest as well.

        For a pivot with a compensation, which settles with that party what became of it.
        """
        assert self._brakes.released, "before the pivot a refusal turns the saga back"
        self._brakes.reopen()
        raise refusal(code, text)

    async def together(
        self, *branches: Coroutine[Any, Any, Any], at_once: int | None = None
    ) -> list[Any]:
        """Run steps side by side, at most `at_once` of them, and return their results in order.

        When one fails the others are called off, and all have ended before its error is raised.
        """
        side_by_side = Branches(branches, at_once)
        self._side_by_side += 1
        error = await side_by_side.first_error()
        if error is not None and not isinstance(error, (*SAGA_ENDS, SettledByHand)):
            raise error  # A bug: nothing may be called off for it.
        if error is not None:
            await self._brakes.call_off(error)
            if not await side_by_side.ended_well():
                raise error
        self._side_by_side -= 1
        return side_by_side.results()

    async def look(
        self, step: Step[Request, Result], request: Request, *, name: str | None = None
    ) -> Result:
        """Ask the world something. Not a step: it changes nothing and nothing is told of it."""
        call = self._bare_call(name or step.name, request)
        await self.begin()
        if step.outside:
            self._brakes.stop_if_on()
        return await self._brakes.wait(steps.act(step, call))

    # Children

    async def child(
        self,
        saga_type: str,
        request: SagaRequest,
        *,
        step: Step[ChildEnd, None] = CHILD,
        name: str | None = None,
        undo: tuple[str, SagaRequest] | None = None,
    ) -> dict[str, Any]:
        """Run another saga as a step. It undoes itself if it fails; then this one turns back.

        `undo` names the saga that reverses a completed child. Without it there is no way back
        once the child completed: it is this saga's pivot.
        """
        child = Child(self.info, saga_type, request)
        call = self._call(step, ChildEnd(saga_type, child.workflow_id), name)
        if self._brakes.released:
            return await finish(self._forward(_child_tries(child, call), NEEDED))
        await self._ready(step)
        self._brakes.stop_if_on()
        if undo is not None:
            self._undoing.remember(undone_by(Child(self.info, *undo), call, child))
        else:
            assert not self._side_by_side, "a child without `undo` is the pivot: run it alone"
        result = await self._brakes.wait(self._noting_failure(call, child.run()))
        if undo is None:
            self._brakes.release()
        await finish(self._complete(call, steps.act(LOCAL_CHILD, call)))
        return result

    async def try_child(
        self,
        saga_type: str,
        request: SagaRequest,
        *,
        step: Step[ChildEnd, None] = CHILD,
        name: str,
        undo: tuple[str, SagaRequest] | None = None,
    ) -> ChildOutcome:
        """Like `child`, but this saga goes on if the child fails (and has undone itself)."""
        failed_before = self._failed_at
        child = self.child(saga_type, request, step=step, name=name, undo=undo)
        try:
            return ChildOutcome(await child)
        except ChildWorkflowError as error:
            self._failed_at = failed_before
            self._progress.failed(name)
            return ChildOutcome(failure=failure_of(error, name))

    async def ask(self, saga_type: str, request: SagaRequest) -> ChildOutcome:
        """Run a saga that only looks. Not a step: one must follow that acts on its answer."""
        await self.begin()
        self._brakes.stop_if_on()
        try:
            return ChildOutcome(await self._brakes.wait(Child(self.info, saga_type, request).run()))
        except FailureError as error:
            return ChildOutcome(failure=failure_of(error, saga_type))

    def continue_as_new(self, request: Any) -> NoReturn:
        """Go on in a new run, whose history is empty: the same saga, its story goes on.

        For what runs for months: call it when `workflow.info().is_continue_as_new_suggested()`.
        """
        assert self._brakes.released or not self._undoing, (
            "what may have to be undone must stay known"
        )
        identity.continue_as_new(self.info, request, past_pivot=self._brakes.released)

    # The block

    async def __aenter__(self) -> Self:
        self._progress.start()
        self._desk.open()
        self._approvals.open()
        await self._brakes.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        await self._brakes.__aexit__(kind, error, trace)
        if error is not None and not isinstance(error, (*SAGA_ENDS, SettledByHand)):
            return False  # A bug: the workflow task fails and is tried again after a fix.
        return self._leave(await finish(self._end(error)))

    async def _end(self, error: BaseException | None) -> Told:
        if isinstance(error, SAGA_ENDS):
            step = self._failed_at or self._at
            late, cancelled = self._brakes.late, self._brakes.cancelled
            failure = failure_of(error, step, expired=late, cancelled=cancelled)
            if not self._brakes.released:
                return await self._ending.turn_back(failure)
            error = await self._ending.no_way_back(failure)
        if isinstance(error, SettledByHand):
            self.result = self.result | {"settled_by_hand": error.facts}
        return await self._ending.complete(self.result)

    def _leave(self, told: Told) -> bool:
        """End the workflow as it was told; an error in the block is settled by then."""
        if told.state is SagaState.CANCELLED:
            raise asyncio.CancelledError from None
        if told.failure is not None:
            failure = told.failure
            raise refusal(failure.code, failure.text, failure.details) from None
        self.result = told.result
        return True

    # Each step

    def _call(
        self, step: Step[Request, Any], request: Request, name: str | None
    ) -> StepCall[Request]:
        self._at = name or step.name
        assert self._at not in self._used, f"{self._at} ran before: give this round its own name"
        self._used.add(self._at)
        self._progress.begun(self._at)
        planned = self._planned.index(step.name) + 1 if step.name in self._planned else 0
        return StepCall(
            saga=self.info,
            step=self._at,
            position=planned,
            begun_at=workflow.now(),
            request=request,
            compensatable=step.compensation is not None,
        )

    def _bare_call(self, step: str, request: Request) -> StepCall[Request]:
        return StepCall(self.info, step, 0, workflow.now(), request)

    async def _ready(self, step: Step[Any, Any]) -> None:
        """Before a step that may still be stopped. An outside party may take its time to answer:
        then `workflow.started` is told first, else in the commit of the step."""
        if step.outside:
            await self.begin()
        self._begun = True

    async def _pivot(self, step: Step[Request, Result], call: StepCall[Request]) -> Result:
        """Turning back after a pivot that was done would be the worst of all: ask once more."""
        until = steps.act if step.compensation else steps.act_until_known
        try:
            return await finish(self._complete(call, until(step, call)))
        except FailureError as refused:
            try:
                return await self._ask_if_done(step, call)
            except asyncio.CancelledError:
                raise refused from refused.__cause__  # The cause is what says why.

    async def _if_done_before(self, step: Step[Request, Result], call: StepCall[Request]) -> Result:
        """The saga is called off. But a worker may have died after it did this step and before it
        could say so: then go on from there. Else stop here, and keep a late try out."""
        if step.outside:  # Those are in the history before they are started.
            raise asyncio.CancelledError
        result = await self._ask_if_done(step, call)
        if step.compensation is not None:
            self._undoing.remember(undoable(step, call))
        return result

    async def _ask_if_done(self, step: Step[Request, Result], call: StepCall[Request]) -> Result:
        try:
            asking = steps.act(step, replace(call, abandoned=True))
            return await finish(self._complete(call, asking))
        except FailureError as error:
            if failure_of(error, call.step).code != StepFenced.code:
                raise
            raise asyncio.CancelledError from None

    async def _complete(self, call: StepCall[Any], work: Coroutine[Any, Any, Result]) -> Result:
        result = await self._noting_failure(call, work)
        self._progress.done(call.step)
        return result

    async def _noting_failure(
        self, call: StepCall[Any], work: Coroutine[Any, Any, Result]
    ) -> Result:
        try:
            return await work
        except SAGA_ENDS:
            self._failed_at = self._failed_at or call.step
            raise

    async def _forward(self, tries: Tries[Result], allowed: frozenset[Verdict]) -> Result:
        """After the pivot: until it succeeds, or an operator says that it need not."""
        decision = None
        if not await tries.patiently():
            decision = await self._desk.settle(tries, allowed=allowed)
        if decision is None:
            self._progress.done(tries.step)
            return tries.result
        if decision.verdict is Verdict.RESOLVE:
            raise SettledByHand(tries.step, decision)
        self._progress.skipped(tries.step)
        return None  # type: ignore[return-value]  # Only of a step that gives nothing.


def _child_tries(child: Child, call: StepCall[ChildEnd]) -> Tries[dict[str, Any]]:
    async def run_and_record(number: int) -> dict[str, Any]:
        result = await child.run(number)
        await steps.act(LOCAL_CHILD, call)
        return result

    return Tries(call.step, run_and_record, patience=LOCAL_CHILD.stuck_after)

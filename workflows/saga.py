"""The saga engine: run steps in order and, if one fails, undo the earlier ones.

    run ──► run ──► pivot ──► run ──► complete
     │       │        │
    undo ◄─ undo ◄── refused, cancelled, deadline

Rules that keep money safe when a step's outcome is unknown (a timeout, a crash):

* a compensation is registered before its action starts, and takes the action's request;
* compensations run in reverse, each until it succeeds, and nothing interrupts them;
* the pivot is never interrupted; after it the saga only goes forward;
* what can neither finish nor be undone is *stuck*: it waits for an operator, visibly;
* a saga's last act is to tell how it ended, in one commit.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from activities.ports import SagaActivities
from domain.operate import Decision, Verdict
from domain.saga import (
    ChildEnd,
    Compensation,
    Failure,
    Nothing,
    SagaEnd,
    SagaInfo,
    SagaRequest,
    SagaState,
    StepCall,
    Undone,
    UndoStatus,
)
from workflows import steps
from workflows.failures import SAGA_ENDS, failure_of
from workflows.progress import Progress, first_attributes
from workflows.steps import Step

Request = TypeVar("Request")
Result = TypeVar("Result")

BEGIN = Step(SagaActivities.begin_saga)
# Its work is a saga; recording that it is done is ours.
LOCAL_CHILD = Step(SagaActivities.record_child)
CHILD = replace(LOCAL_CHILD, outside=True)
STUCK = Step(SagaActivities.mark_stuck)
END = Step(SagaActivities.end_saga)


class Saga:
    """`async with Saga(STEPS) as saga:` undoes its steps if the block ends with an error.

    `deadline` counts from the start; it passes into nothing once the pivot began.
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
        self._info = _info(self._planned, subject, deadline)
        self._progress = Progress(self._info)
        self._started: list[tuple[Step[Any, Any], StepCall[Any]]] = []
        self._completed: list[str] = []
        self._at = self._planned[0] if self._planned else ""
        self._failed_at = ""
        self._begun = False
        self._past_pivot = False
        self._decision: Decision | None = None
        self._deadline = asyncio.timeout(deadline.total_seconds() if deadline else None)

    @property
    def info(self) -> SagaInfo:
        return self._info

    async def run(
        self, step: Step[Request, Result], request: Request, *, name: str | None = None
    ) -> Result:
        """Run one step. `name` tells the rounds of a loop apart: it must be unique in the saga."""
        if self._past_pivot:
            return await finish(self._forward(step, request, name))
        call = self._call(step, request, name)
        await self._ready(step)
        if step.compensation is not None:
            self._started.append((step, call))
        work = self._noting_failure(call, steps.act(step, call))
        result = await (work if step.outside else finish(work))
        self._done(call)
        self._stop_if_ended()
        return result

    async def pivot(self, step: Step[Request, Result], request: Request) -> Result:
        """Run the step of no return: if it succeeds the saga only goes forward."""
        call = self._call(step, request, None)
        await self._ready(step)
        self._deadline.reschedule(None)
        result = await finish(self._noting_failure(call, steps.act(step, call)))
        self._past_pivot = True
        self._done(call)
        return result

    async def child(
        self, saga_type: str, request: SagaRequest, *, step: Step[ChildEnd, None]
    ) -> dict[str, Any]:
        """Run another saga as a step. It undoes itself if it fails; then this one turns back.

        Once it completed there is no way back: use it last, or as the pivot.
        """
        call = self._call(step, ChildEnd(saga_type, f"{saga_type}/{request.id}"), None)
        await self._ready(step)
        result = await self._noting_failure(call, self._run_child(saga_type, request))
        self._past_pivot = True
        await finish(steps.act(LOCAL_CHILD, call))
        self._done(call)
        return result

    async def _run_child(self, saga_type: str, request: SagaRequest) -> dict[str, Any]:
        result: dict[str, Any] = await workflow.execute_child_workflow(
            saga_type,
            request,
            id=f"{saga_type}/{request.id}",
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            memo={"tenant_id": self._info.tenant_id, "initiated_by": self._info.initiated_by},
            search_attributes=first_attributes(saga_type, self._info.tenant_id, request.id),
            static_summary=f"{saga_type} {request.id}, for {self._info.workflow_id}",
        )
        return result

    async def together(self, *runs: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run steps side by side. All of them end before an error of one is raised."""
        tasks = [asyncio.create_task(run) for run in runs]
        try:
            await workflow.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await finish(_all_ended(tasks))
            raise
        return [task.result() for task in tasks]

    async def __aenter__(self) -> Self:
        self._progress.offer(self._operate, self._check_operate)
        await self._deadline.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        expired = await self._leave_deadline(kind, error, trace)
        if error is None:
            await finish(self._end(SagaState.COMPLETED))
            return False
        if not isinstance(error, SAGA_ENDS):
            return False  # A bug: the workflow task fails and is tried again after a fix.
        failure = failure_of(error, self._failed_at or self._at, expired=expired)
        await finish(self._turn_back(failure))
        if failure.outcome is SagaState.CANCELLED:
            return False
        raise ApplicationError(
            failure.text, failure.details, type=failure.code, non_retryable=True
        ) from None

    async def _ready(self, step: Step[Any, Any]) -> None:
        """Before a step that may still be stopped. An outside party may take its time to answer:
        then `workflow.started` is told first."""
        self._stop_if_ended()
        if not self._begun and step.outside:
            await finish(steps.act(BEGIN, self._bare_call("begin", Nothing())))
        self._begun = True

    async def _noting_failure(
        self, call: StepCall[Any], work: Coroutine[Any, Any, Result]
    ) -> Result:
        try:
            return await work
        except SAGA_ENDS:
            self._failed_at = self._failed_at or call.step
            raise

    def _stop_if_ended(self) -> None:
        # A step that finished in spite of a cancel or of the deadline swallowed it.
        if workflow.cancellation_reason() is not None or self._deadline.expired():
            raise asyncio.CancelledError

    async def _leave_deadline(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Whether it was the deadline that ended the block."""
        with contextlib.suppress(TimeoutError):
            await self._deadline.__aexit__(kind, error, trace)
        # An activity that is cancelled raises an error of its own, so the timeout does not.
        return self._deadline.expired() and error is not None and is_cancelled_exception(error)

    async def _turn_back(self, failure: Failure) -> None:
        self._progress.turned_back(failure)
        compensations = [
            await self._undo(step, call, failure) for step, call in reversed(self._started)
        ]
        await self._end(failure.outcome, failure, tuple(compensations))

    async def _undo(
        self, step: Step[Any, Any], call: StepCall[Any], failure: Failure
    ) -> Compensation:
        call = _undoing(call, failure)
        attempts = 0
        error_text: str | None = None
        while True:
            attempts += 1
            try:
                undone = await steps.compensate(step, call)
                break
            except FailureError as error:
                error_text = failure_of(error, call.step).text
                verdict = await self._wait_for_operator(call.step, error_text)
            if verdict is not Verdict.RETRY:
                undone = Undone(UndoStatus.SKIPPED)
                break
        self._progress.undone(call.step, undone)
        assert step.compensation is not None
        action = step.compensation.__name__
        return Compensation(call.step, action, undone, attempts, workflow.now(), error_text)

    async def _forward(
        self, step: Step[Request, Result], request: Request, name: str | None
    ) -> Result:
        """After the pivot: until it succeeds, or an operator says that it need not."""
        call = self._call(step, request, name)
        while True:
            try:
                result = await steps.act(step, call)
                self._done(call)
                return result
            except FailureError as error:
                verdict = await self._wait_for_operator(
                    call.step, failure_of(error, call.step).text
                )
            if verdict is not Verdict.RETRY:
                self._progress.skipped(call.step)
                return None  # type: ignore[return-value]  # An operator answered for it.

    async def _wait_for_operator(self, step: str, why: str) -> Verdict:
        """Stuck: say so where operators look, and wait for `operate`."""
        self._decision = None
        self._progress.stuck(step, why)
        call = self._bare_call("stuck", Failure(step, "stuck", why))
        await steps.act(STUCK, call)
        await workflow.wait_condition(lambda: self._decision is not None)
        decision: Decision = self._decision  # type: ignore[assignment]  # Set by the update.
        self._progress.unstuck(decision)
        return decision.verdict

    def _operate(self, decision: Decision) -> str:
        self._decision = decision
        return f"{decision.verdict}: going on with {self._at}"

    def _check_operate(self, _: Decision) -> None:
        if not self._progress.is_stuck:
            raise ApplicationError("this saga is not stuck: there is nothing to decide")

    async def _end(
        self,
        state: SagaState,
        failure: Failure | None = None,
        compensations: tuple[Compensation, ...] = (),
    ) -> None:
        end = SagaEnd(
            saga=self._info,
            state=state,
            ended_at=workflow.now(),
            completed_steps=tuple(self._completed),
            result=self.result,
            failure=failure,
            compensations=compensations,
        )
        await steps.act(END, self._bare_call("end", end))
        self._progress.ended(state)
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _call(
        self, step: Step[Request, Any], request: Request, name: str | None
    ) -> StepCall[Request]:
        self._at = name or step.name
        self._progress.begun(self._at)
        planned = self._planned.index(step.name) + 1 if step.name in self._planned else 0
        return StepCall(
            saga=self._info,
            step=self._at,
            position=planned,
            begun_at=workflow.now(),
            request=request,
            compensatable=step.compensation is not None,
        )

    def _bare_call(self, step: str, request: Request) -> StepCall[Request]:
        return StepCall(self._info, step, 0, workflow.now(), request)

    def _done(self, call: StepCall[Any]) -> None:
        self._completed.append(call.step)
        self._progress.done(call.step)


def _info(
    planned: tuple[str, ...], subject: tuple[str, str] | None, deadline: timedelta | None
) -> SagaInfo:
    info = workflow.info()
    subject_type, subject_id = subject or (None, None)
    return SagaInfo(
        workflow_id=info.workflow_id,
        run_id=info.run_id,
        type=info.workflow_type,
        tenant_id=workflow.memo_value("tenant_id", type_hint=str),
        initiated_by=workflow.memo_value("initiated_by", type_hint=str),
        steps=planned,
        started_at=workflow.now(),
        deadline_at=workflow.now() + deadline if deadline else None,
        subject_type=subject_type,
        subject_id=subject_id,
        parent_id=info.parent.workflow_id if info.parent else None,
    )


def _undoing(call: StepCall[Request], failure: Failure) -> StepCall[Request]:
    return StepCall(
        call.saga, call.step, call.position, call.begun_at, call.request, failure=failure
    )


async def _all_ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    await workflow.wait(tasks)


async def finish(work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for `work` to end, even if the workflow is cancelled meanwhile."""
    task = asyncio.create_task(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done():
                raise
            # Else every later await of this task would raise again.
            current = asyncio.current_task()
            assert current is not None
            current.uncancel()

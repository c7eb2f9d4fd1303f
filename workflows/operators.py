"""The operator's desk: who decides when a saga can neither finish a step nor undo it.

Such a saga is *stuck*: its state is a search attribute, the operators are told, and it waits for
the update `operate`. Tries that are still under way go on meanwhile: if one succeeds after all,
nobody needs to decide any more.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Generic, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.ports import SagaActivities
from domain.operate import Decision, Verdict
from domain.saga import Failure, SagaInfo, StepCall
from workflows import steps
from workflows.failures import failure_of
from workflows.progress import Progress
from workflows.steps import Step
from workflows.uninterrupted import called_off, recorded

Result = TypeVar("Result")

STUCK = Step(SagaActivities.mark_stuck)
EVERY_VERDICT = frozenset(Verdict)


def never() -> bool:
    return False


class Tries(Generic[Result]):
    """Work that must get done, tried until it is; the first try starts at once.

    `work` is given the number of the try, from 1.
    """

    def __init__(
        self, step: str, work: Callable[[int], Coroutine[Any, Any, Result]], *, patience: timedelta
    ) -> None:
        self.step = step
        self.number = 0
        self.why = ""
        self._work = work
        self._patience = patience
        self.again()

    def again(self) -> None:
        self.number += 1
        self._task = asyncio.create_task(self._work(self.number))

    @property
    def succeeded(self) -> bool:
        task = self._task
        return task.done() and not task.cancelled() and task.exception() is None

    @property
    def result(self) -> Result:
        return self._task.result()

    async def patiently(self) -> bool:
        """Wait for this try, but not for ever. True if it succeeded."""
        try:
            await workflow.wait_condition(
                self._task.done,
                timeout=self._patience,
                timeout_summary=f"{self.step}: then an operator is called",
            )
        except TimeoutError:
            self.why = f"no try has succeeded in {self._patience}; they go on"
        self._note_failure()
        return self.succeeded

    async def stop(self) -> bool:
        """Call this try off. True if it succeeded nevertheless."""
        await called_off([self._task])
        self._note_failure()
        return self.succeeded

    def _note_failure(self) -> None:
        if not self._task.done() or self._task.cancelled():
            return
        error = self._task.exception()
        if error is None:
            return
        if not isinstance(error, FailureError):
            raise error  # A bug in the saga's own code.
        self.why = failure_of(error, self.step).text


class OperatorDesk:
    """Asks one question at a time, however many steps of the saga are stuck."""

    def __init__(self, saga: SagaInfo, progress: Progress) -> None:
        self._saga = saga
        self._progress = progress
        self._asking = asyncio.Lock()
        self._step = ""
        self._allowed: frozenset[Verdict] = frozenset()
        self._decision: Decision | None = None

    def open(self) -> None:
        workflow.set_update_handler("operate", self._operate, validator=self._check)

    async def settle(
        self, tries: Tries[Any], *, allowed: frozenset[Verdict] = EVERY_VERDICT
    ) -> Decision | None:
        """Return once a try succeeded (None), or an operator answered for the step."""
        while not tries.succeeded:
            decision = await self.ask(tries.step, tries.why, allowed, lambda: tries.succeeded)
            if decision is None or await tries.stop():
                return None
            if decision.verdict is not Verdict.RETRY:
                return decision
            tries.again()
            await tries.patiently()
        return None

    async def ask(
        self,
        step: str,
        why: str,
        allowed: frozenset[Verdict] = EVERY_VERDICT,
        settled: Callable[[], bool] = never,
    ) -> Decision | None:
        """Be stuck, visibly, until an operator decides or it `settled` itself (None)."""
        async with self._asking:
            if settled():
                return None
            self._step, self._allowed, self._decision = step, allowed, None
            self._progress.stuck(step, why)
            failure = Failure(step, "stuck", why)
            await steps.act(STUCK, StepCall(self._saga, "stuck", 0, workflow.now(), failure))
            await workflow.wait_condition(lambda: self._decision is not None or settled())
            decision, self._allowed = self._decision, frozenset()
            self._progress.unstuck(decision)
            if decision is not None:
                await recorded("decision")
            return decision

    def _operate(self, decision: Decision) -> str:
        self._decision = decision
        return f"{self._step}: {decision}"

    def _check(self, decision: Decision) -> None:
        if not self._allowed:
            raise ApplicationError("this saga is not stuck", type="not_stuck")
        if self._decision is not None:
            raise ApplicationError(
                f"{self._decision.operator} has just decided: {self._decision.verdict}",
                type="already_decided",
            )
        if decision.verdict not in self._allowed:
            choice = ", ".join(sorted(self._allowed))
            raise ApplicationError(
                f"{self._step} cannot be settled by {decision.verdict}, only by {choice}",
                type="verdict_not_allowed",
            )

"""How a saga ends: in one commit that tells it, and after which nothing is told any more."""

from typing import Any

from temporalio import workflow

from activities.ports import SagaActivities
from domain.operate import Decision, Verdict
from domain.saga import Compensation, Failure, SagaEnd, SagaInfo, SagaState, StepCall, Told
from workflows import steps
from workflows.operators import OperatorDesk
from workflows.progress import Progress
from workflows.steps import Step
from workflows.undoing import Undoing

END = Step(SagaActivities.end_saga)


class SettledByHand(BaseException):
    """An operator did by hand what was left: leave the saga's block, it has completed."""

    def __init__(self, step: str, decision: Decision) -> None:
        self.facts = {"step": step, "operator": decision.operator, "note": decision.note}


class Ending:
    """Nothing interrupts what is done here: callers `finish` it."""

    def __init__(
        self, saga: SagaInfo, progress: Progress, desk: OperatorDesk, undoing: Undoing
    ) -> None:
        self._saga = saga
        self._progress = progress
        self._desk = desk
        self._undoing = undoing

    async def complete(self, result: dict[str, Any]) -> Told:
        return await self._tell(SagaState.COMPLETED, result)

    async def turn_back(self, failure: Failure) -> Told:
        """Undo everything, then tell what was undone and why."""
        self._progress.turned_back(failure)
        compensations = await self._undoing.everything(failure)
        return await self._tell(failure.outcome, {}, failure, compensations)

    async def no_way_back(self, failure: Failure) -> SettledByHand:
        """The saga's own code gave up after the pivot: a person must finish by hand."""
        why = f"{failure.text}, after the point of no return"
        decision = await self._desk.ask(failure.step, why, frozenset({Verdict.RESOLVE}))
        assert decision is not None
        return SettledByHand(failure.step, decision)

    async def _tell(
        self,
        state: SagaState,
        result: dict[str, Any],
        failure: Failure | None = None,
        compensations: tuple[Compensation, ...] = (),
    ) -> Told:
        end = SagaEnd(
            saga=self._saga,
            state=state,
            ended_at=workflow.now(),
            result=result,
            failure=failure,
            compensations=compensations,
        )
        told = await steps.act(END, StepCall(self._saga, "end", 0, workflow.now(), end))
        self._progress.ended(told.state)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return told

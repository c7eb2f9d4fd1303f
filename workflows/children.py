"""Sagas inside sagas: a child is a step of its parent, and undoes itself if it fails."""

from dataclasses import dataclass, field, replace
from typing import Any

from temporalio import workflow
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from activities.ports import SagaActivities
from domain.saga import (
    NOTHING_TO_UNDO,
    ChildEnd,
    ChildUndone,
    Failure,
    SagaInfo,
    SagaRequest,
    StepCall,
    Undone,
    UndoStatus,
)
from workflows import steps
from workflows.progress import first_attributes
from workflows.steps import Step
from workflows.undoing import Undoable
from workflows.uninterrupted import finish_noting

RECORD_UNDONE = Step(SagaActivities.record_child_undone, outside=True)


@dataclass(frozen=True)
class ChildOutcome:
    """How a child ended that was allowed to fail. `failure` is None if it completed."""

    result: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None


@dataclass
class Child:
    """One child saga. Its workflow id is `{type}/{request.id}`, as if it stood alone."""

    parent: SagaInfo
    type: str
    request: SagaRequest
    completed: bool = False

    @property
    def workflow_id(self) -> str:
        return f"{self.type}/{self.request.id}"

    async def run(self, number: int = 1) -> dict[str, Any]:
        """Run it to its end. A later try is another saga: the steps of a failed one are fenced."""
        request = self.request
        if number > 1:
            request = replace(request, id=f"{request.id}~{number}")
        starting = workflow.start_child_workflow(
            self.type,
            request,
            id=f"{self.type}/{request.id}",
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            memo={"tenant_id": self.parent.tenant_id, "initiated_by": self.parent.initiated_by},
            search_attributes=first_attributes(self.type, self.parent.tenant_id, request.id),
            static_summary=f"{self.type} {request.id}, for {self.parent.workflow_id}",
        )
        # Called off before it is known to have started, it would run on with nobody waiting.
        child, called_off = await finish_noting(starting)
        if called_off:
            child.cancel()
        result: dict[str, Any] = await child
        self.completed = True
        return result


def undone_by(undo: Child, call: StepCall[ChildEnd], child: Child) -> Undoable:
    """The way back after `child` completed: another saga. Before that it undoes itself."""

    async def run_undo(failure: Failure, number: int) -> Undone:
        if not child.completed:
            return NOTHING_TO_UNDO
        result = await undo.run(number)
        amount, asset = result.get("amount_minor"), result.get("asset_code")
        reversal = ChildUndone(undo.workflow_id, Undone(UndoStatus.EXECUTED, amount, asset))
        place = (call.saga, call.step, call.position, call.begun_at)
        return await steps.act(RECORD_UNDONE, StepCall(*place, reversal, failure=failure))

    return Undoable(call.step, undo.type, run_undo)

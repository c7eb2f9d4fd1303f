"""Undo a run that was ended from outside: let it go on from where it was, and call it off.

No step is done twice and none is done anew: each finds its row, or that the run has ended. What is
left to a saga before its pivot is to compensate; after it, to ask an operator.
"""

from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
FROM_OUTSIDE = frozenset({WorkflowExecutionStatus.TERMINATED, WorkflowExecutionStatus.TIMED_OUT})


class CannotUndo(Exception):
    """There is nothing to undo, or it is not for us to undo it; the text says why."""


async def undo_run(temporal: Client, workflow_id: str, *, operator: str) -> str:
    """Start the undoing and return the id of the run that does it.

    Raises CannotUndo, or RPCError where the engine does not know the run.
    """
    handle = temporal.get_workflow_handle(workflow_id)
    found = await handle.describe()
    if found.status not in FROM_OUTSIDE:
        status = found.status.name.lower() if found.status else "unknown"
        raise CannotUndo(f"{workflow_id} is {status}: only a run ended from outside is undone")
    reset = await temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=found.run_id),
            workflow_task_finish_event_id=await _last_task(temporal, workflow_id, found.run_id),
            reason=f"undone by {operator}",
            request_id=str(uuid4()),
        )
    )
    again: WorkflowHandle[object, object] = temporal.get_workflow_handle(
        workflow_id, run_id=reset.run_id
    )
    await again.cancel()
    return reset.run_id


async def _last_task(temporal: Client, workflow_id: str, run_id: str) -> int:
    run = temporal.get_workflow_handle(workflow_id, run_id=run_id)
    tasks = [
        event.event_id
        async for event in run.fetch_history_events()
        if event.event_type == TASK_COMPLETED
    ]
    if not tasks:
        raise CannotUndo(f"{workflow_id} was ended before it began: it did nothing")
    return tasks[-1]

"""Start an accepted saga on the engine: by the API at once, or by the worker if that failed."""

from contextlib import suppress

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from runtime.temporal import SAGA_QUEUE
from storage.tables import SagaRun
from workflows.progress import first_attributes

SUMMARY_CHARACTERS_MAX = 180  # The UI's limit is 200 bytes.


async def start_run(temporal: Client, run: SagaRun) -> None:
    """Start the workflow of `run`; already started is success. Raises RPCError.

    Only `request["input"]` goes to the engine. What is personal stays in the database.
    """
    request = run.request["input"]
    # The same id again is the same request: a finished saga is not an error.
    with suppress(WorkflowAlreadyStartedError):
        await temporal.start_workflow(
            run.type,
            request,
            id=run.workflow_id,
            task_queue=SAGA_QUEUE,
            memo={"tenant_id": run.tenant_id, "initiated_by": run.initiated_by},
            search_attributes=first_attributes(run.type, run.tenant_id, request["id"]),
            static_summary=(run.summary or run.workflow_id)[:SUMMARY_CHARACTERS_MAX],
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            request_eager_start=True,
        )

"""Tell the engine of a replay or a rotation: start its workflow, or wake the one that runs.

Called after the commit; calling again is harmless. Where the engine does not answer, the row says
what is so, and the worker tells the engine later (worker/upkeep.py).
"""

from dataclasses import dataclass

from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from domain.replay import ReplayRequest
from domain.rotation import RotationRequest
from runtime.temporal import DELIVERY_QUEUE
from storage.lifecycle_tables import ReplayJob, SecretRotation

TENANT_ID = SearchAttributeKey.for_keyword("TenantId")
ENDPOINT_ID = SearchAttributeKey.for_keyword("EndpointId")

LEAST_URGENT = 5  # Fresh deliveries are of priority three.


def replay_workflow_id(job_id: str) -> str:
    return f"replay/{job_id}"


def rotation_workflow_id(endpoint_id: str) -> str:
    return f"endpoint/{endpoint_id}/rotation"


@dataclass(frozen=True)
class Watch:
    """A workflow that looks after one thing, and that its signal `look_again` wakes."""

    workflow_type: str
    workflow_id: str
    request: object
    tenant_id: str
    summary: str
    endpoint_id: str | None = None
    initiated_by: str | None = None
    priority: Priority = Priority.default

    @property
    def attributes(self) -> TypedSearchAttributes:
        """What it is found by."""
        named = [SearchAttributePair(TENANT_ID, self.tenant_id)]
        if self.endpoint_id is not None:
            named.append(SearchAttributePair(ENDPOINT_ID, self.endpoint_id))
        return TypedSearchAttributes(named)

    @property
    def memo(self) -> dict[str, str]:
        """What its page in the Temporal UI says of it."""
        by = {"initiated_by": self.initiated_by} if self.initiated_by is not None else {}
        return {"tenant_id": self.tenant_id} | by


async def wake(temporal: Client, watch: Watch) -> None:
    """Start it, or have the one that runs look again. Raises RPCError."""
    await temporal.start_workflow(
        watch.workflow_type,
        watch.request,
        id=watch.workflow_id,
        task_queue=DELIVERY_QUEUE,
        start_signal="look_again",
        priority=watch.priority,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=watch.attributes,
        memo=watch.memo,
        static_summary=watch.summary,
    )


async def tell_replay(temporal: Client, job: ReplayJob) -> None:
    """After a job was made, paused, resumed or cancelled. Raises RPCError."""
    watch = Watch(
        "replay_events",
        replay_workflow_id(job.id),
        ReplayRequest(job.id),
        job.tenant_id,
        f"replay {job.total} events to {job.endpoint_id}",
        endpoint_id=job.endpoint_id,
        initiated_by=job.created_by,
        priority=Priority(priority_key=LEAST_URGENT, fairness_key=job.tenant_id),
    )
    await wake(temporal, watch)


async def tell_rotation(temporal: Client, rotation: SecretRotation) -> None:
    """After a secret was rotated, or a rotation rolled back. Raises RPCError."""
    watch = Watch(
        "rotate_secret",
        rotation_workflow_id(rotation.endpoint_id),
        RotationRequest(rotation.endpoint_id),
        rotation.tenant_id,
        f"rotate the secret of {rotation.endpoint_id}",
        endpoint_id=rotation.endpoint_id,
        initiated_by=rotation.started_by,
    )
    await wake(temporal, watch)

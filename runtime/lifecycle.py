"""Tell the engine of a replay or a rotation: start its workflow, or wake the one that runs.

Called after the commit; calling again is harmless. Where the engine does not answer, the row says
what is so, and the worker tells the engine later (worker/upkeep.py).
"""

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


async def tell_replay(temporal: Client, job: ReplayJob) -> None:
    """After a job was made, paused, resumed or cancelled. Raises RPCError."""
    await temporal.start_workflow(
        "replay_events",
        ReplayRequest(job.id),
        id=replay_workflow_id(job.id),
        task_queue=DELIVERY_QUEUE,
        start_signal="look_again",
        priority=Priority(priority_key=LEAST_URGENT, fairness_key=job.tenant_id),
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=_attributes(job.tenant_id, job.endpoint_id),
        memo={"tenant_id": job.tenant_id, "initiated_by": job.created_by},
        static_summary=f"replay {job.total} events to {job.endpoint_id}",
    )


async def tell_rotation(temporal: Client, rotation: SecretRotation) -> None:
    """After a secret was rotated, or a rotation rolled back. Raises RPCError."""
    await temporal.start_workflow(
        "rotate_secret",
        RotationRequest(rotation.endpoint_id),
        id=rotation_workflow_id(rotation.endpoint_id),
        task_queue=DELIVERY_QUEUE,
        start_signal="look_again",
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=_attributes(rotation.tenant_id, rotation.endpoint_id),
        memo={"tenant_id": rotation.tenant_id, "initiated_by": rotation.started_by},
        static_summary=f"rotate the secret of {rotation.endpoint_id}",
    )


def _attributes(tenant_id: str, endpoint_id: str) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(TENANT_ID, tenant_id), SearchAttributePair(ENDPOINT_ID, endpoint_id)]
    )

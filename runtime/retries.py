"""Start and steer the workflows that outlive a claim: a delivery's retries, an endpoint's recovery.

Workflows are named, not imported: this is called from activities, from the relay and from the API.
"""

from dataclasses import dataclass

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import PauseActivityRequest, UnpauseActivityRequest
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.batch import RecoveryRequest, RetryRequest
from runtime.temporal import RETRY_QUEUE

# One is the most urgent. Claims of fresh deliveries are 2, a replay's bookkeeping is 5.
RETRY_PRIORITY = 4
RECOVERY_PRIORITY = 3
ENDPOINT_ID = SearchAttributeKey.for_keyword("EndpointId")
TENANT_ID = SearchAttributeKey.for_keyword("TenantId")
EVENT_TYPE = SearchAttributeKey.for_keyword("EventType")


@dataclass(frozen=True)
class Retried:
    """What the run of a delivery is found and ordered by."""

    delivery_id: str
    endpoint_id: str
    tenant_id: str
    event_type: str


def retry_id(delivery_id: str) -> str:
    return f"delivery/{delivery_id}"


def recovery_id(endpoint_id: str) -> str:
    return f"endpoint/{endpoint_id}/recovery"


async def start_retry(temporal: Client, retried: Retried) -> None:
    """Already started is success. Raises RPCError."""
    await temporal.start_workflow(
        "retry_delivery",
        RetryRequest(retried.delivery_id),
        id=retry_id(retried.delivery_id),
        task_queue=RETRY_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"retry {retried.event_type} until it is settled",
        priority=Priority(priority_key=RETRY_PRIORITY, fairness_key=retried.endpoint_id),
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(ENDPOINT_ID, retried.endpoint_id),
                SearchAttributePair(TENANT_ID, retried.tenant_id),
                SearchAttributePair(EVENT_TYPE, retried.event_type),
            ]
        ),
    )


async def start_recovery(temporal: Client, endpoint_id: str, tenant_id: str) -> None:
    """One per endpoint: already started is success. Raises RPCError."""
    await temporal.start_workflow(
        "recover_endpoint",
        RecoveryRequest(endpoint_id),
        id=recovery_id(endpoint_id),
        task_queue=RETRY_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"probe {endpoint_id}, then send what is parked",
        priority=Priority(priority_key=RECOVERY_PRIORITY, fairness_key=endpoint_id),
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(ENDPOINT_ID, endpoint_id),
                SearchAttributePair(TENANT_ID, tenant_id),
            ]
        ),
    )


async def run_now(temporal: Client, workflow_id: str, activity_id: str) -> bool:
    """Run a waiting activity at once, as the attempt it is. False if there is none waiting."""
    return await pause_activity(temporal, workflow_id, activity_id) and await _unpause(
        temporal, workflow_id, activity_id
    )


async def pause_activity(temporal: Client, workflow_id: str, activity_id: str) -> bool:
    """Keep an activity from being run again. False if the workflow or the activity is not there."""
    request = PauseActivityRequest(
        namespace=temporal.namespace,
        execution=WorkflowExecution(workflow_id=workflow_id),
        id=activity_id,
    )
    return await _found(temporal.workflow_service.pause_activity(request))


async def _unpause(temporal: Client, workflow_id: str, activity_id: str) -> bool:
    request = UnpauseActivityRequest(
        namespace=temporal.namespace,
        execution=WorkflowExecution(workflow_id=workflow_id),
        id=activity_id,
    )
    return await _found(temporal.workflow_service.unpause_activity(request))


async def stop(temporal: Client, workflow_id: str) -> bool:
    """Ask a workflow to end. False if there is none running."""
    return await _found(temporal.get_workflow_handle(workflow_id).cancel())


async def _found(call: object) -> bool:
    try:
        await call  # type: ignore[misc]
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True

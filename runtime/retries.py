"""Start and steer the workflows of deliveries: a claim, a delivery's retries, a recovery.

Workflows are named, not imported: this is called from activities, from the relay and from the API.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflowservice.v1 import PauseActivityRequest, UnpauseActivityRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.batch import Claimed, RecoveryRequest, RetryRequest
from runtime.temporal import DELIVERY_QUEUE, RETRY_QUEUE

# One is the most urgent, three the default; a replay's bookkeeping is 5.
CLAIM_PRIORITY = 2
RECOVERY_PRIORITY = 3
RETRY_PRIORITY = 4
# The ids of the activities that are steered from outside.
DELIVER = "deliver"
RECOVER = "recover"
# How long what is asked for waits for an attempt under way.
LOOKS_MAX = 20
LOOK_EVERY_S = 0.05
UNDER_WAY: Final = frozenset(
    {
        PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED,
    }
)
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


async def start_claim(
    temporal: Client,
    claim: Claimed,
    *,
    tenant_id: str | None = None,
    endpoint_id: str | None = None,
) -> WorkflowHandle[Any, Any]:
    """Already started is success: a claim runs under its own id, once at a time."""
    of_endpoint = f" to {endpoint_id}" if endpoint_id else ""
    return await temporal.start_workflow(
        "deliver_events",
        claim,
        id=f"claim/{claim.claim_id}",
        task_queue=DELIVERY_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"{_number(claim.size)}{of_endpoint}",
        priority=Priority(priority_key=CLAIM_PRIORITY),
        search_attributes=_attributes({TENANT_ID: tenant_id, ENDPOINT_ID: endpoint_id}),
        request_eager_start=True,
    )


def _number(size: int) -> str:
    return "1 delivery" if size == 1 else f"{size} deliveries"


def _attributes(values: dict[SearchAttributeKey[str], str | None]) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in values.items() if value is not None]
    )


async def start_retry(temporal: Client, retried: Retried) -> WorkflowHandle[Any, Any]:
    """Already started is success. Raises RPCError."""
    return await temporal.start_workflow(
        "retry_delivery",
        RetryRequest(retried.delivery_id),
        id=retry_id(retried.delivery_id),
        task_queue=RETRY_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"retry {retried.event_type} until it is settled",
        priority=Priority(priority_key=RETRY_PRIORITY, fairness_key=retried.endpoint_id),
        search_attributes=_attributes(
            {
                ENDPOINT_ID: retried.endpoint_id,
                TENANT_ID: retried.tenant_id,
                EVENT_TYPE: retried.event_type,
            }
        ),
    )


async def start_or_run_retry(temporal: Client, retried: Retried) -> None:
    """A retry that is overdue: its workflow is missing, or waits although it is due."""
    if not await run_now(temporal, retry_id(retried.delivery_id), DELIVER):
        await start_retry(temporal, retried)


async def start_or_run_recovery(temporal: Client, endpoint_id: str, tenant_id: str) -> None:
    if not await run_now(temporal, recovery_id(endpoint_id), RECOVER):
        await start_recovery(temporal, endpoint_id, tenant_id)


async def start_recovery(
    temporal: Client, endpoint_id: str, tenant_id: str
) -> WorkflowHandle[Any, Any]:
    """One per endpoint: already started is success. Raises RPCError."""
    return await temporal.start_workflow(
        "recover_endpoint",
        RecoveryRequest(endpoint_id),
        id=recovery_id(endpoint_id),
        task_queue=RETRY_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"probe {endpoint_id}, then send what is parked",
        priority=Priority(priority_key=RECOVERY_PRIORITY, fairness_key=endpoint_id),
        search_attributes=_attributes({ENDPOINT_ID: endpoint_id, TENANT_ID: tenant_id}),
    )


async def run_now(temporal: Client, workflow_id: str, activity_id: str) -> bool:
    """Run a waiting activity at once, as the attempt it is. False if there is none waiting.

    An attempt under way may have looked before what it is to find was there: it is kept from being
    put off by what it then answers.
    """
    if not await pause_activity(temporal, workflow_id, activity_id):
        return False
    await _until_it_rests(temporal, workflow_id)
    return await _unpause(temporal, workflow_id, activity_id)


async def _until_it_rests(temporal: Client, workflow_id: str) -> None:
    """Wait for the end of an attempt that only looks. One that sends is not waited for: what was
    asked for meanwhile is found when it is recorded."""
    for _ in range(LOOKS_MAX):
        described = await temporal.get_workflow_handle(workflow_id).describe()
        pending = described.raw_description.pending_activities
        if not any(activity.state in UNDER_WAY for activity in pending):
            return
        await asyncio.sleep(LOOK_EVERY_S)


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

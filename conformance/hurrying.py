"""What the kit does inside a workflow: waits and retries shrink, and a doomed task dies."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError
from temporalio.worker import (
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowOutboundInterceptor,
)

RETRY_SOON = timedelta(milliseconds=10)
# Instead of the steps' own, where an attempt will not be answered: nobody waits ten seconds for it.
START_TO_CLOSE = timedelta(seconds=1.5)
LOCAL_START_TO_CLOSE = timedelta(seconds=0.8)
RETRY_INTERVAL_MAX = timedelta(milliseconds=100)
# What the workflow asks of the kit, which is outside of it.
DIES = "conformance_dies"
HURRIES = "conformance_hurries"
# The type of an error that stands for the death of the process.
DIED = "died"


def busy() -> float:
    """How many want each core just now, from 1 to 5. The tries after one that was not answered
    must be able to answer in time, also where the kit itself keeps the machine busy."""
    return min(max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), 5.0)


class ProcessDied(Exception):
    """Fails the workflow task: what its local activities answered is lost with the process."""


class HurriedWorkflows(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_HurriedActivities(outbound))


class _HurriedActivities(WorkflowOutboundInterceptor):
    """Waits and retries shrink to what a test has time for; a doomed task dies."""

    def start_activity(self, input: StartActivityInput) -> Any:
        if _hurries(input.activity_id):
            input.start_to_close_timeout = START_TO_CLOSE * busy()
        if input.retry_policy is not None:
            input.retry_policy = replace(
                input.retry_policy, initial_interval=RETRY_SOON, maximum_interval=RETRY_INTERVAL_MAX
            )
        return _mortal(super().start_activity(input))

    def start_local_activity(self, input: StartLocalActivityInput) -> Any:
        if _hurries(input.activity_id):
            input.start_to_close_timeout = LOCAL_START_TO_CLOSE * busy()
        return _mortal(super().start_local_activity(input))


def _hurries(activity_id: str | None) -> bool:
    asks: Callable[[str, str], bool] = workflow.extern_functions()[HURRIES]
    return asks(workflow.info().workflow_id, (activity_id or "").removesuffix("/undo"))


def _mortal(handle: workflow.ActivityHandle[Any]) -> Any:
    async def answer() -> Any:
        try:
            result = await handle
        except FailureError as error:
            _die_if_doomed()
            if _is_death(error):
                raise _nothing_heard() from None
            raise
        _die_if_doomed()
        return result

    return asyncio.create_task(answer())


def _nothing_heard() -> Exception:
    """A death is no answer. Where the engine was told of it all the same, by a heartbeat of the
    task before it was lost, it is an attempt that took too long."""
    if not workflow.unsafe.is_replaying():
        return ProcessDied()
    return ActivityError(
        "nothing was heard of it",
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type="",
        activity_id="",
        retry_state=None,
    )


def _is_death(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ApplicationError) and error.type == DIED:
            return True
        error = error.__cause__
    return False


def _die_if_doomed() -> None:
    if workflow.unsafe.is_replaying():
        return  # For a query, perhaps: the instance that is doomed is another one.
    dies: Callable[[str], bool] = workflow.extern_functions()[DIES]
    if dies(workflow.info().workflow_id):
        raise ProcessDied

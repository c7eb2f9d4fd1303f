"""What an error means to a saga: a refusal, an outage that lasted too long, a cancel, a deadline.

Anything else is a bug: it fails only the workflow task, and the saga goes on once a fix is
deployed. It must not be undone for that.
"""

import asyncio

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    TimeoutError,
    is_cancelled_exception,
)

from domain.errors import Refused
from domain.saga import Failure, SagaState

# Errors that end a saga. `asyncio.CancelledError` is not an `Exception`.
SAGA_ENDS = (FailureError, Refused, asyncio.CancelledError, asyncio.TimeoutError)


def failure_of(error: BaseException, step: str, *, expired: bool = False) -> Failure:
    """Say why the saga turned back at `step`. `expired`: its own deadline passed."""
    if expired:
        return Failure(step, "deadline_exceeded", "the deadline passed", {}, SagaState.TIMED_OUT)
    if is_cancelled_exception(error):
        return Failure(step, "cancelled", "cancelled on request", {}, SagaState.CANCELLED)
    if isinstance(error, Refused):
        return Failure(step, error.reason_code, str(error), error.details)
    cause = error
    while isinstance(cause, ActivityError | ChildWorkflowError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        details = cause.details[0] if cause.details and isinstance(cause.details[0], dict) else {}
        return Failure(step, cause.type or "internal_error", cause.message, details)
    if isinstance(cause, TimeoutError | asyncio.TimeoutError):
        return Failure(step, "step_timed_out", f"{step} did not answer in time")
    assert not isinstance(cause, CancelledError)
    return Failure(step, "internal_error", type(cause).__name__)

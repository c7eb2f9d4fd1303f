"""What an error means to a saga: a refusal, an outage that lasted too long, a cancel, a deadline.

Anything else is a bug: it fails only the workflow task, and the saga goes on once a fix is
deployed. It must not be undone for that.
"""

import asyncio
import re
from typing import Any

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    TerminatedError,
    TimeoutError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from domain.errors import Refused
from domain.saga import Failure, SagaState

# Errors that end a saga. `asyncio.CancelledError` is not an `Exception`.
SAGA_ENDS = (FailureError, Refused, asyncio.CancelledError, asyncio.TimeoutError)

REASON_CODE = re.compile(r"[a-z][a-z0-9_]*")


def refusal(code: str, text: str, details: dict[str, Any] | None = None) -> ApplicationError:
    """A final "no", with a reason code of the catalogue; it carries no stack trace."""
    return ApplicationError(text, details or {}, type=code, non_retryable=True)


def failure_of(
    error: BaseException, step: str, *, expired: bool = False, cancelled: bool = False
) -> Failure:
    """Say why the saga turned back at `step`.

    `expired`: its own deadline passed; `cancelled`: somebody asked for its end. Either explains
    everything but a refusal, which would have come anyway.
    """
    cause = _cause(error)
    if not _is_final(cause):
        if expired:
            text = "the deadline passed"
            return Failure(step, "deadline_exceeded", text, {}, SagaState.TIMED_OUT)
        if cancelled:
            return Failure(step, "cancelled", "cancelled on request", {}, SagaState.CANCELLED)
    return _what_happened(cause, step)


def _what_happened(cause: BaseException, step: str) -> Failure:
    details: dict[str, Any] = {}
    match cause:
        case Refused():
            code, text, details = cause.reason_code, str(cause), cause.details
        case WorkflowAlreadyStartedError():
            code = "duplicate_request"
            text = f"{cause.workflow_id} runs already, started by somebody else"
        case ApplicationError():
            code, text, details = _code(cause), cause.message, _details(cause)
        case TimeoutError() | asyncio.TimeoutError():
            code, text = "step_timed_out", f"{step} did not answer in time"
        case TerminatedError():
            code, text = "internal_error", f"{step} was terminated from outside"
        case _ if is_cancelled_exception(cause):
            code, text = "cancelled", f"{step} was cancelled, this saga was not"
        case _:
            code, text = "internal_error", type(cause).__name__
    return Failure(step, code, text, details)


def _cause(error: BaseException) -> BaseException:
    while isinstance(error, ActivityError | ChildWorkflowError) and error.cause is not None:
        error = error.cause
    return error


def _is_final(cause: BaseException) -> bool:
    if isinstance(cause, ApplicationError):
        return cause.non_retryable
    return isinstance(cause, Refused)


def _code(error: ApplicationError) -> str:
    """The error's type, if it is one of our codes and not the name of a Python exception."""
    named = error.type and REASON_CODE.fullmatch(error.type)
    return error.type if named and error.type else "internal_error"


def _details(error: ApplicationError) -> dict[str, Any]:
    found = error.details[0] if error.details else None
    return found if isinstance(found, dict) else {}

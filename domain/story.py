"""The workflow events: what a saga's start, steps, undoing and end look like when told.

Pure: the commit that makes them true calls these and publishes what they return.
"""

import json
import re
from datetime import datetime
from typing import Any, Final

from domain.catalogue import (
    ErrorDetails,
    EventData,
    WorkflowCompensationExecuted,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowStarted,
    WorkflowStepCompleted,
    WorkflowTimeout,
)
from domain.catalogue.model import INTEGER_MAX
from domain.money import EXPONENTS, minor_to_decimal
from domain.saga import (
    Compensation,
    Failure,
    SagaEnd,
    SagaInfo,
    SagaState,
    StepCall,
    UndoStatus,
)

REASON_CODE: Final = re.compile(r"[a-z][a-z0-9_]*")
TEXT_MAX: Final = 2_000
DETAILS_MAX: Final = 16_384

PUBLISHED_STATUS = {
    UndoStatus.EXECUTED: "completed",
    UndoStatus.NOOP: "completed",
    UndoStatus.FAILED: "failed",
    UndoStatus.SKIPPED: "skipped",
}


def started(saga: SagaInfo) -> WorkflowStarted:
    subject = None
    if saga.subject_type is not None:
        subject = {"type": saga.subject_type, "id": saga.subject_id}
    return WorkflowStarted.model_validate(
        _run(saga)
        | {
            "run_id": saga.run_id,
            "initiated_by": saga.initiated_by,
            "subject": subject,
            "steps_planned": saga.steps,
            "compensation_enabled": saga.compensation_enabled,
            "started_at": saga.started_at,
            "deadline_at": saga.deadline_at,
        }
    )


def step_completed(
    call: StepCall[Any], result: Any, *, attempt: int, completed_at: datetime
) -> WorkflowStepCompleted:
    """`result` is what the step returned, as plain JSON values."""
    duration = completed_at - call.begun_at
    return WorkflowStepCompleted.model_validate(
        _run(call.saga)
        | {
            "step": {
                "name": call.step,
                "index": call.position,
                "total": len(call.saga.steps),
                "attempt": attempt,
                "started_at": call.begun_at,
                "completed_at": completed_at,
                "duration_ms": max(0, round(duration.total_seconds() * 1000)),
            },
            "result": _as_object(result),
            "compensatable": call.compensatable,
        }
    )


def ended(end: SagaEnd) -> list[EventData]:
    """The last events of a saga: what was undone, if anything, and then how it ended."""
    return [*undone(end), _last(end)]


def undone(end: SagaEnd) -> list[EventData]:
    if end.failure is not None and _undid_something(end):
        return [_compensated(end, end.failure)]
    return []


def _undid_something(end: SagaEnd) -> bool:
    return any(one.undone.status is not UndoStatus.NOOP for one in end.compensations)


def error_details(failure: Failure) -> ErrorDetails:
    """The failure as clients read it; amounts are there when money was missing.

    Whatever is in the failure, this can be told: a saga whose end cannot be told never ends.
    """
    details = failure.details
    amounts = _amounts(details)
    rest = {name: found for name, found in details.items() if name not in amounts}
    return ErrorDetails.model_validate(
        {
            "code": reason_code(failure).upper(),
            "message": _plain(failure.text)[:TEXT_MAX],
            "details": _told(rest),
        }
        | {told: found for named in amounts.values() for told, found in named.items()}
    )


def reason_code(failure: Failure) -> str:
    """The code, if it looks like one of the event catalogue's."""
    return failure.code if REASON_CODE.fullmatch(failure.code) else "internal_error"


def _amounts(details: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the details say of money, as the event says it; by the name in the details."""
    asset_code = details.get("asset_code")
    if not isinstance(asset_code, str) or asset_code not in EXPONENTS:
        return {}
    found: dict[str, dict[str, Any]] = {"asset_code": {"asset_code": asset_code}}
    for name in ("required", "available"):
        minor = details.get(f"{name}_minor")
        if type(minor) is int and abs(minor) <= INTEGER_MAX:
            found[f"{name}_minor"] = {
                f"{name}_amount": minor_to_decimal(minor, asset_code),
                f"{name}_amount_minor": minor,
            }
    return found


def _told(details: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(details)
    size = len(json.dumps(plain))
    return plain if size <= DETAILS_MAX else {"omitted": f"{size} characters of details"}


def _plain(found: Any) -> Any:
    """As near as an event's JSON comes to it: no float, no huge integer, no broken text."""
    match found:
        case None | bool():
            return found
        case int() if abs(found) <= INTEGER_MAX:
            return found
        case dict():
            return {_plain_key(key): _plain(inner) for key, inner in found.items()}
        case list() | tuple():
            return [_plain(inner) for inner in found]
        case _:
            return str(found).encode(errors="replace").decode()


def _plain_key(key: Any) -> str:
    text = str(_plain(key))
    return f"_{text}" if text.isdecimal() else text


def _run(saga: SagaInfo) -> dict[str, Any]:
    return {"workflow_id": saga.workflow_id, "workflow_type": saga.type}


def _as_object(result: Any) -> dict[str, Any]:
    if result is None:
        return {}
    return result if isinstance(result, dict) else {"value": result}


def _last(end: SagaEnd) -> EventData:
    match end.state:
        case SagaState.COMPLETED:
            return _completed(end)
        case SagaState.TIMED_OUT:
            return _timed_out(end)
        case _:
            return _failed(end)


def _completed(end: SagaEnd) -> WorkflowCompleted:
    duration = end.ended_at - end.saga.started_at
    return WorkflowCompleted.model_validate(
        _run(end.saga)
        | {
            "result": end.result,
            "completed_steps": end.completed_steps,
            "duration_ms": max(0, round(duration.total_seconds() * 1000)),
            "completed_at": end.ended_at,
        }
    )


def _failed(end: SagaEnd) -> WorkflowFailed:
    assert end.failure is not None, "a saga that failed says why"
    return WorkflowFailed.model_validate(
        _run(end.saga)
        | {
            "failed_step": end.failure.step or None,
            "failure_reason": reason_code(end.failure),
            "error_details": error_details(end.failure),
            "compensation_triggered": _undid_something(end),
            "completed_steps": end.completed_steps,
            "failed_at": end.ended_at,
        }
    )


def _timed_out(end: SagaEnd) -> WorkflowTimeout:
    deadline = end.saga.deadline_at or end.ended_at
    return WorkflowTimeout.model_validate(
        _run(end.saga)
        | {
            "timed_out_step": end.failure.step if end.failure else None,
            "timeout_seconds": round((deadline - end.saga.started_at).total_seconds()),
            "deadline_at": deadline,
            "timed_out_at": end.ended_at,
            "compensation_triggered": _undid_something(end),
        }
    )


def _compensated(end: SagaEnd, failure: Failure) -> WorkflowCompensationExecuted:
    statuses = {one.undone.status for one in end.compensations}
    undone = statuses <= {UndoStatus.EXECUTED, UndoStatus.NOOP}
    return WorkflowCompensationExecuted.model_validate(
        _run(end.saga)
        | {
            "failed_step": failure.step or None,
            "failure_reason": reason_code(failure),
            "compensation_actions": [
                _action(one)
                for one in end.compensations
                if one.undone.status is not UndoStatus.NOOP
            ],
            "compensations": [_compensation(one) for one in end.compensations],
            "fully_compensated": undone,
            "manual_intervention_required": not undone,
            "compensation_completed_at": end.ended_at,
        }
    )


def _action(one: Compensation) -> dict[str, Any]:
    found: dict[str, Any] = {"action": one.action, "status": PUBLISHED_STATUS[one.undone.status]}
    minor, asset_code = one.undone.amount_minor, one.undone.asset_code
    if minor is not None and asset_code is not None:
        found["amount_reversed"] = minor_to_decimal(minor, asset_code)
        found["amount_reversed_minor"] = minor
        found["asset_code"] = asset_code
    return found


def _compensation(one: Compensation) -> dict[str, Any]:
    return {
        "step": one.step,
        "action": one.action,
        "status": one.undone.status,
        "attempts": one.attempts,
        "executed_at": one.executed_at,
        "error": _plain(one.error)[:TEXT_MAX] if one.error else None,
    }

"""Workflow events: how a saga started, went on, ended, and what it undid."""

from typing import Final, Literal, Self

from pydantic import Field

from domain.catalogue.model import (
    Count,
    DecimalText,
    ErrorDetails,
    EventData,
    Integer,
    JsonObject,
    Part,
    ReasonCode,
    Subject,
    Timestamp,
)


class WorkflowEvent(EventData):
    """A run of a saga. `uuid` repeats `workflow_id`, for the receivers that read it there."""

    category = "workflow"
    producer = "every saga"

    workflow_id: str
    uuid: str = Field(default_factory=lambda fields: fields["workflow_id"])
    workflow_type: str
    metadata: JsonObject = Field(default_factory=dict)


class WorkflowStarted(WorkflowEvent):
    event_type = "workflow.started"
    description = "Sent once for every workflow, with its first step."

    run_id: str
    initiated_by: str | None
    subject: Subject | None
    steps_planned: tuple[str, ...]
    compensation_enabled: bool
    started_at: Timestamp
    deadline_at: Timestamp | None

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **WORKFLOW,
                "run_id": "019b7a2c-2b40-7f19-a6c5-3d1e8b7f9024",
                "initiated_by": "key_01kdw3v5h04mnpzx45hy43kwjr",
                "subject": {"type": "transfer", "id": "019b7a2c-11d0-7b44-8e02-5a9c3f7d6e10"},
                "steps_planned": ["convert", "transfer"],
                "compensation_enabled": True,
                "started_at": "2026-01-01T12:00:00Z",
                "deadline_at": "2026-01-01T12:15:00Z",
            }
        )


class CompletedStep(Part):
    name: str
    index: Count
    total: Count
    status: Literal["completed"] = "completed"
    attempt: Count
    started_at: Timestamp
    completed_at: Timestamp
    duration_ms: Count


class WorkflowStepCompleted(WorkflowEvent):
    event_type = "workflow.step_completed"
    description = "Sent for every step that a workflow completes."

    step: CompletedStep
    result: JsonObject
    compensatable: bool

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **WORKFLOW,
                "step": {
                    "name": "convert",
                    "index": 1,
                    "total": 2,
                    "attempt": 1,
                    "started_at": "2026-01-01T12:00:00.020Z",
                    "completed_at": "2026-01-01T12:00:00.145Z",
                    "duration_ms": 125,
                },
                "result": {"amount": "95.50", "amount_minor": 9550, "asset_code": "EUR"},
                "compensatable": True,
            }
        )


class WorkflowCompleted(WorkflowEvent):
    event_type = "workflow.completed"
    description = "Sent when every step of a workflow is done."

    result: JsonObject
    completed_steps: tuple[str, ...]
    duration_ms: Count
    completed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **WORKFLOW,
                "result": {"transfer_uuid": "019b7a2c-11d0-7b44-8e02-5a9c3f7d6e10"},
                "completed_steps": ["convert", "transfer"],
                "duration_ms": 410,
                "completed_at": "2026-01-01T12:00:00.410Z",
            }
        )


class WorkflowFailed(WorkflowEvent):
    event_type = "workflow.failed"
    description = "Sent when a workflow ends without reaching its goal, with the step and reason."

    failed_step: str | None
    failure_reason: ReasonCode
    error_details: ErrorDetails
    compensation_triggered: bool
    completed_steps: tuple[str, ...]
    failed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **WORKFLOW,
                "failed_step": "transfer",
                "failure_reason": "insufficient_funds",
                "error_details": {
                    "code": "INSUFFICIENT_FUNDS",
                    "message": "the account has 50.00 USD available, 100.00 USD are required",
                    "asset_code": "USD",
                    "required_amount": "100.00",
                    "required_amount_minor": 10000,
                    "available_amount": "50.00",
                    "available_amount_minor": 5000,
                },
                "compensation_triggered": True,
                "completed_steps": ["convert"],
                "failed_at": "2026-01-01T12:09:45Z",
            }
        )


class WorkflowTimeout(WorkflowEvent):
    event_type = "workflow.timeout"
    description = "Sent when a workflow passed its deadline and gave up."

    timed_out_step: str | None
    timeout_seconds: Count
    deadline_at: Timestamp
    timed_out_at: Timestamp
    compensation_triggered: bool

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **WORKFLOW,
                "timed_out_step": "transfer",
                "timeout_seconds": 900,
                "deadline_at": "2026-01-01T12:15:00Z",
                "timed_out_at": "2026-01-01T12:15:00.031Z",
                "compensation_triggered": True,
            }
        )


class CompensationAction(Part):
    """What was undone, as the product publishes it. The amounts are there when money went back."""

    action: str
    status: Literal["completed", "failed", "skipped"]
    amount_reversed: DecimalText | None = None
    amount_reversed_minor: Integer | None = None
    asset_code: str | None = None


class Compensation(Part):
    """How undoing one step went. A `noop` found nothing to undo."""

    step: str
    action: str
    status: Literal["executed", "noop", "failed", "skipped"]
    attempts: Count
    executed_at: Timestamp | None
    error: str | None = None


class WorkflowCompensationExecuted(WorkflowEvent):
    event_type = "workflow.compensation_executed"
    description = "Sent when a workflow has undone what it did, with the result of each undoing."

    failed_step: str | None
    failure_reason: ReasonCode
    compensation_actions: tuple[CompensationAction, ...]
    compensations: tuple[Compensation, ...]
    fully_compensated: bool
    manual_intervention_required: bool
    compensation_completed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **WORKFLOW,
                "failed_step": "transfer",
                "failure_reason": "insufficient_funds",
                "compensation_actions": [
                    {
                        "action": "reverse_currency_conversion",
                        "status": "completed",
                        "amount_reversed": "95.50",
                        "amount_reversed_minor": 9550,
                        "asset_code": "EUR",
                    }
                ],
                "compensations": [
                    {
                        "step": "convert",
                        "action": "reverse_currency_conversion",
                        "status": "executed",
                        "attempts": 1,
                        "executed_at": "2026-01-01T12:09:44.700Z",
                    }
                ],
                "fully_compensated": True,
                "manual_intervention_required": False,
                "compensation_completed_at": "2026-01-01T12:09:45Z",
            }
        )


WORKFLOW: Final = {
    "workflow_id": "currency_conversion_transfer/019b7a2c-11d0-7b44-8e02-5a9c3f7d6e10",
    "workflow_type": "currency_conversion_transfer",
}

EVENTS: Final[tuple[type[EventData], ...]] = (
    WorkflowStarted,
    WorkflowStepCompleted,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowTimeout,
    WorkflowCompensationExecuted,
)

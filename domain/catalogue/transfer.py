"""Transfer events: one shape, told again at each turn a transfer takes."""

from typing import Final, Literal, Self

from pydantic import Field

from domain.catalogue.model import (
    DecimalText,
    ErrorDetails,
    EventData,
    Integer,
    JsonObject,
    Part,
    ReasonCode,
    Timestamp,
)


class Fees(Part):
    transfer_fee: DecimalText
    transfer_fee_minor: Integer
    currency: str


class TransferEvent(EventData):
    """A transfer. `status` is the second half of the event type."""

    category = "transfer"
    producer = "Transfer"

    uuid: str
    from_account: str
    to_account: str
    amount: DecimalText
    amount_minor: Integer
    asset_code: str
    status: str
    reference: str | None
    workflow_id: str
    fees: Fees
    metadata: JsonObject = Field(default_factory=dict)
    created_at: Timestamp


class TransferCreated(TransferEvent):
    event_type = "transfer.created"
    description = "Sent when a transfer is accepted, before any money moves."

    status: Literal["created"] = "created"
    estimated_completion: Timestamp | None

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate({**TRANSFER, "estimated_completion": "2026-01-01T12:05:00Z"})


class TransferPending(TransferEvent):
    event_type = "transfer.pending"
    description = "Sent when the money is held at its source and the transfer waits."

    status: Literal["pending"] = "pending"
    step: str
    reason: Literal["awaiting_settlement", "compliance_review", "approval", "rail"]

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate({**TRANSFER, "step": "settle", "reason": "awaiting_settlement"})


class TransferCompleted(TransferEvent):
    event_type = "transfer.completed"
    description = "Sent when the money has arrived: both legs are posted."

    status: Literal["completed"] = "completed"
    completed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate({**TRANSFER, "completed_at": "2026-01-01T12:05:00Z"})


class TransferFailed(TransferEvent):
    event_type = "transfer.failed"
    description = "Sent when a transfer failed, after everything it had done was undone."

    status: Literal["failed"] = "failed"
    failed_step: str | None
    failure_reason: ReasonCode
    error_details: ErrorDetails
    compensated: bool
    failed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **TRANSFER,
                "failed_step": "hold_source",
                "failure_reason": "insufficient_funds",
                "error_details": {
                    "code": "INSUFFICIENT_FUNDS",
                    "message": "the account has 50.00 USD available, 100.50 USD are required",
                    "asset_code": "USD",
                    "required_amount": "100.50",
                    "required_amount_minor": 10050,
                    "available_amount": "50.00",
                    "available_amount_minor": 5000,
                },
                "compensated": True,
                "failed_at": "2026-01-01T12:00:01.250Z",
            }
        )


class TransferReversed(TransferEvent):
    event_type = "transfer.reversed"
    description = "Sent when a completed transfer was paid back by a second one."
    producer = "ReverseTransfer"

    status: Literal["reversed"] = "reversed"
    original_transfer_uuid: str
    reversal_transfer_uuid: str
    reversal_reason: str
    authorized_by: str | None
    reversed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **TRANSFER,
                "original_transfer_uuid": TRANSFER["uuid"],
                "reversal_transfer_uuid": "019b7a9f-7a31-7c58-b1d4-0e2f4a6c8b91",
                "reversal_reason": "sent to the wrong account",
                "authorized_by": "key_01kdw3v5h04mnpzx45hy43kwjr",
                "reversed_at": "2026-01-01T14:10:00Z",
            }
        )


class TransferExpired(TransferEvent):
    event_type = "transfer.expired"
    description = "Sent when a transfer's window passed before it could complete."

    status: Literal["expired"] = "expired"
    expires_at: Timestamp
    expired_at: Timestamp
    held_amount_released: DecimalText
    held_amount_released_minor: Integer

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **TRANSFER,
                "expires_at": "2026-01-01T13:00:00Z",
                "expired_at": "2026-01-01T13:00:00.084Z",
                "held_amount_released": "100.50",
                "held_amount_released_minor": 10050,
            }
        )


TRANSFER: Final = {
    "uuid": "019b7a2c-11d0-7b44-8e02-5a9c3f7d6e10",
    "from_account": "019b7a10-4c5e-7d21-9f3a-6b8c0d1e2f34",
    "to_account": "019b7a10-4c5e-7d21-9f3a-6b8c0d1e2f35",
    "amount": "100.00",
    "amount_minor": 10000,
    "asset_code": "USD",
    "reference": "Invoice 2026-0117",
    "workflow_id": "transfer/019b7a2c-11d0-7b44-8e02-5a9c3f7d6e10",
    "fees": {"transfer_fee": "0.50", "transfer_fee_minor": 50, "currency": "USD"},
    "created_at": "2026-01-01T12:00:00Z",
}

EVENTS: Final[tuple[type[EventData], ...]] = (
    TransferCreated,
    TransferPending,
    TransferCompleted,
    TransferFailed,
    TransferReversed,
    TransferExpired,
)

"""Cross-chain events: money crosses a bridge from one chain to another, or is swapped there."""

from typing import Final, Literal, Self

from pydantic import Field

from domain.catalogue.model import (
    Count,
    DecimalText,
    ErrorDetails,
    EventData,
    Integer,
    JsonObject,
    ReasonCode,
    Timestamp,
)


class BridgeEvent(EventData):
    """A transfer over a bridge. `status` is the second half of the event type."""

    category = "cross_chain"
    producer = "BridgeTransfer"

    bridge_tx_id: str
    quote_id: str
    status: str
    source_chain: str
    destination_chain: str
    source_tx_hash: str | None
    sender_address: str
    recipient_address: str
    amount: DecimalText
    amount_minor: Integer
    token: str
    bridge_protocol: Literal["wormhole", "layerzero", "axelar", "circle_cctp", "sandbox"]
    fee_amount: DecimalText
    fee_amount_minor: Integer
    fee_currency: str
    metadata: JsonObject = Field(default_factory=dict)
    created_at: Timestamp
    estimated_completion_at: Timestamp


class BridgeInitiated(BridgeEvent):
    event_type = "bridge.initiated"
    description = "Sent when a bridge transfer was submitted on its source chain."

    status: Literal["initiated"] = "initiated"

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(BRIDGE)


class BridgeCompleted(BridgeEvent):
    event_type = "bridge.completed"
    description = "Sent when a bridge transfer is confirmed on its destination chain."

    status: Literal["completed"] = "completed"
    destination_tx_hash: str
    amount_received: DecimalText
    amount_received_minor: Integer
    confirmations: Count
    duration_seconds: Count
    completed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **BRIDGE,
                "destination_tx_hash": "0x" + "4e8c1a7d" * 8,
                "amount_received": "997.500000",
                "amount_received_minor": 997500000,
                "confirmations": 12,
                "duration_seconds": 742,
                "completed_at": "2026-01-01T12:12:22Z",
            }
        )


class BridgeFailed(BridgeEvent):
    event_type = "bridge.failed"
    description = "Sent when a bridge transfer failed or took too long, with what became of it."

    status: Literal["failed"] = "failed"
    failure_reason: ReasonCode
    error_details: ErrorDetails
    refund_status: Literal["none", "pending", "refunded"]
    refund_tx_hash: str | None

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **BRIDGE,
                "failure_reason": "bridge_timeout",
                "error_details": {
                    "code": "BRIDGE_TIMEOUT",
                    "message": "the transfer was not confirmed within 1560 seconds",
                },
                "refund_status": "refunded",
                "refund_tx_hash": "0x" + "b7203f9d" * 8,
            }
        )


class SwapCompleted(EventData):
    event_type = "swap.completed"
    category = "cross_chain"
    description = "Sent when a swap is done; `outcome` tells which token arrived."
    producer = "CrossChainSwap"

    swap_id: str
    source_chain: str
    destination_chain: str
    input_token: str
    output_token: str
    input_amount: DecimalText
    input_amount_minor: Integer
    output_amount: DecimalText
    output_amount_minor: Integer
    min_output_amount: DecimalText
    min_output_amount_minor: Integer
    price_impact_percent: DecimalText
    bridge_tx_id: str
    swap_tx_hash: str | None
    outcome: Literal["swapped", "bridged_unswapped"]
    metadata: JsonObject = Field(default_factory=dict)

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "swap_id": "swap_01kdw7b3x0v37e3s3e28jt97kb",
                "source_chain": "ethereum",
                "destination_chain": "base",
                "input_token": "USDC",
                "output_token": "ETH",
                "input_amount": "1000.000000",
                "input_amount_minor": 1000000000,
                "output_amount": "0.33125000",
                "output_amount_minor": 33125000,
                "min_output_amount": "0.33000000",
                "min_output_amount_minor": 33000000,
                "price_impact_percent": "0.12",
                "bridge_tx_id": "brg_01kdw7a2w06cq643dzvmxxqkfb",
                "swap_tx_hash": "0x" + "c5d10b6e" * 8,
                "outcome": "swapped",
            }
        )


BRIDGE: Final = {
    "bridge_tx_id": "brg_01kdw7a2w06cq643dzvmxxqkfb",
    "quote_id": "quote_01kdw79zq0f5kznwj47tan9zt2",
    "source_chain": "ethereum",
    "destination_chain": "base",
    "source_tx_hash": "0x" + "9a1f73c2" * 8,
    "sender_address": "0x" + "1f" * 20,
    "recipient_address": "0x" + "2e" * 20,
    "amount": "1000.000000",
    "amount_minor": 1000000000,
    "token": "USDC",
    "bridge_protocol": "circle_cctp",
    "fee_amount": "2.500000",
    "fee_amount_minor": 2500000,
    "fee_currency": "USDC",
    "created_at": "2026-01-01T12:00:00Z",
    "estimated_completion_at": "2026-01-01T12:13:00Z",
}

EVENTS: Final[tuple[type[EventData], ...]] = (
    BridgeInitiated,
    BridgeCompleted,
    BridgeFailed,
    SwapCompleted,
)

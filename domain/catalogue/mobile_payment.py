"""Mobile payment events: a payer's intent was made, paid, or ran out."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field

from domain.catalogue.model import (
    Count,
    DecimalText,
    EventData,
    Integer,
    JsonObject,
    Part,
    Timestamp,
)


class Merchant(Part):
    id: str
    display_name: str


class FeesEstimate(Part):
    amount: DecimalText
    amount_minor: Integer
    asset_code: str


class PaymentIntentEvent(EventData):
    """An intent to pay a merchant on a chain. It lives for 15 minutes."""

    category = "mobile_payment"
    producer = "PaymentIntent"

    intent_id: Annotated[str, Field(pattern=r"^pi_")]
    merchant: Merchant
    asset: str
    network: Literal["solana", "tron", "polygon", "base", "arbitrum", "ethereum"]
    amount: DecimalText
    amount_minor: Integer
    status: str
    fees_estimate: FeesEstimate
    metadata: JsonObject = Field(default_factory=dict)
    created_at: Timestamp
    expires_at: Timestamp
    required_confirmations: Count


class PaymentIntentCreated(PaymentIntentEvent):
    event_type = "payment_intent.created"
    description = "Sent when a payment intent is made and waits for the payer."

    status: Literal["created"] = "created"

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(INTENT)


class PaymentIntentCompleted(PaymentIntentEvent):
    event_type = "payment_intent.completed"
    description = "Sent when the payment has all the confirmations it needs."

    status: Literal["confirmed"] = "confirmed"
    tx_hash: str
    confirmations: Count
    receipt_id: str
    confirmed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **INTENT,
                "tx_hash": "0x" + "7f2b60ce" * 8,
                "confirmations": 12,
                "receipt_id": "rcp_01kdwa6f10awsh8vhtpre95b9e",
                "confirmed_at": "2026-01-01T12:01:05Z",
            }
        )


class PaymentIntentExpired(PaymentIntentEvent):
    event_type = "payment_intent.expired"
    description = "Sent when nobody authorised the payment within its 15 minutes."

    status: Literal["expired"] = "expired"
    expired_at: Timestamp
    last_status: Literal["created", "awaiting_auth"]
    released_hold: bool

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **INTENT,
                "expired_at": "2026-01-01T12:15:00Z",
                "last_status": "awaiting_auth",
                "released_hold": False,
            }
        )


INTENT: Final = {
    "intent_id": "pi_01kdwa4d00e0zbgj09tqm83xss",
    "merchant": {"id": "mer_01kdwa2b00ss6ys3c4dwa7n360", "display_name": "Corner Books"},
    "asset": "USDC",
    "network": "base",
    "amount": "24.900000",
    "amount_minor": 24900000,
    "fees_estimate": {"amount": "0.010000", "amount_minor": 10000, "asset_code": "USDC"},
    "created_at": "2026-01-01T12:00:00Z",
    "expires_at": "2026-01-01T12:15:00Z",
    "required_confirmations": 12,
}

EVENTS: Final[tuple[type[EventData], ...]] = (
    PaymentIntentCreated,
    PaymentIntentCompleted,
    PaymentIntentExpired,
)

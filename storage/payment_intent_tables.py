"""The table of payment intents."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from storage.types import BigInt, UtcDateTime, utc_now


class PaymentIntent(SQLModel, table=True):
    """A payer's intent to pay a merchant on a chain, from acceptance to its end."""

    __tablename__ = "payment_intents"
    __table_args__ = (
        CheckConstraint(
            "status IN ('created','awaiting_auth','submitting','pending',"
            "'confirmed','failed','cancelled','expired')",
            "payment_intent_status",
        ),
        CheckConstraint("amount_minor > 0 AND fee_minor >= 0", "payment_intent_amount"),
        Index("payment_intents_of_tenant", "tenant_id", "id"),
        Index("payment_intents_of_payer", "payer_account", "id"),
    )

    id: str = Field(primary_key=True, description="pi_…")
    tenant_id: str = Field(foreign_key="tenants.id")
    payer_account: str
    merchant_id: str
    merchant_name: str
    asset_code: str
    network: str
    amount_minor: int = Field(sa_type=BigInt)
    fee_minor: int = Field(default=0, sa_type=BigInt)
    required_confirmations: int
    status: str = "created"
    tx_hash: str | None = None
    confirmations: int = 0
    receipt_id: str | None = None
    intent_metadata: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    workflow_id: str
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    confirmed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

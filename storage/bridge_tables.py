"""The tables of bridge transfers and the quotes they are made at."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from storage.types import BigInt, UtcDateTime, utc_now


class BridgeQuoteRow(SQLModel, table=True):
    """What a bridge said it takes. `used_by` is the one transfer that was made at it."""

    __tablename__ = "bridge_quotes"
    __table_args__ = (CheckConstraint("amount_minor > fee_minor", "bridge_quote_amount"),)

    id: str = Field(primary_key=True, description="quote_…")
    tenant_id: str = Field(foreign_key="tenants.id")
    from_chain: str
    to_chain: str
    protocol: str
    asset_code: str
    amount_minor: int = Field(sa_type=BigInt)
    fee_minor: int = Field(sa_type=BigInt)
    used_by: str | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class Bridge(SQLModel, table=True):
    """Tokens on their way from one chain to another, from the quote to their arrival."""

    __tablename__ = "bridges"
    __table_args__ = (
        CheckConstraint(
            "status IN ('quoted','locked','initiated','completed','failed')", "bridge_status"
        ),
        CheckConstraint("amount_minor > fee_minor AND usd_minor >= 0", "bridge_amount"),
        Index("bridges_of_account", "from_account", "created_at"),
    )

    id: str = Field(primary_key=True, description="brg_…")
    tenant_id: str = Field(foreign_key="tenants.id")
    workflow_id: str
    quote_id: str
    from_account: str
    to_account: str | None = None
    sender_address: str
    recipient_address: str
    from_chain: str
    to_chain: str
    protocol: str
    asset_code: str
    amount_minor: int = Field(sa_type=BigInt)
    usd_minor: int = Field(sa_type=BigInt, description="its worth, for the limits of a day")
    fee_minor: int = Field(sa_type=BigInt)
    status: str = "quoted"
    source_tx_hash: str | None = None
    arrival_tx_hash: str | None = None
    refund_tx_hash: str | None = None
    received_minor: int | None = Field(default=None, sa_type=BigInt)
    confirmations: int = 0
    bridge_metadata: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    estimated_completion_at: datetime = Field(sa_type=UtcDateTime)
    submitted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    completed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

"""The tables of DeFi positions and their harvests."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from storage.types import BigInt, UtcDateTime, utc_now


class PositionRow(SQLModel, table=True):
    """What an account has in a protocol. `closing_by` is the one workflow that may close it."""

    __tablename__ = "positions"
    __table_args__ = (
        CheckConstraint(
            "status IN ('opening','open','closing','closed','failed')", "position_status"
        ),
        CheckConstraint("amount_minor > 0 AND debt_minor >= 0", "position_amount"),
        Index("positions_of_account", "account_id", "id"),
    )

    id: str = Field(primary_key=True, description="pos_…")
    tenant_id: str = Field(foreign_key="tenants.id")
    workflow_id: str
    account_id: str
    wallet_address: str
    protocol: str
    type: str
    chain: str
    asset_code: str
    amount_minor: int = Field(sa_type=BigInt)
    debt_asset: str | None = None
    debt_minor: int = Field(default=0, sa_type=BigInt)
    value_usd_minor: int = Field(sa_type=BigInt, description="when it was opened")
    apy: str
    status: str = "opening"
    closing_by: str | None = None
    tx_hash: str | None = None
    position_metadata: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    opened_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

"""Tables of money that crosses the bank's edge: deposits and withdrawals."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from storage.types import BigInt, UtcDateTime, utc_now


class Payment(SQLModel, table=True):
    """A deposit or a withdrawal, from acceptance to its end."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("type IN ('deposit','withdrawal')", "payment_type"),
        CheckConstraint(
            "status IN ('accepted','created','held','pending','completed','failed','expired')",
            "payment_status",
        ),
        CheckConstraint("amount_minor > 0", "payment_amount"),
        Index("payments_of_tenant", "tenant_id", "id"),
        Index("payments_of_account", "account_id", "id"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    account_id: str
    type: str
    amount_minor: int = Field(sa_type=BigInt)
    asset_code: str
    status: str = "accepted"
    reference: str | None = None
    rail: str = "sandbox"
    rail_reference: str | None = None
    payment_metadata: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    workflow_id: str
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    completed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

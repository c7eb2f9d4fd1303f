"""The table of bulk transfers. Their items are rows of `transfers`."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index
from sqlmodel import Field, SQLModel

from storage.types import BigInt, UtcDateTime, utc_now


class BulkTransfer(SQLModel, table=True):
    """Many transfers that were asked for as one. `{id}-{n}` is the id of item n, from 1."""

    __tablename__ = "bulk_transfers"
    __table_args__ = (
        CheckConstraint(
            "status IN ('accepted','created','completed','failed')", "bulk_transfer_status"
        ),
        CheckConstraint("items > 0 AND total_minor > 0", "bulk_transfer_size"),
        Index("bulk_transfers_of_tenant", "tenant_id", "id"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    from_account: str
    policy: str
    asset_code: str
    items: int
    completed_items: int | None = None
    total_minor: int = Field(sa_type=BigInt)
    status: str = "accepted"
    workflow_id: str
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

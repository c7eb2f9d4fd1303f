"""The table of travel-rule checks."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index
from sqlmodel import Field, SQLModel

from storage.types import BigInt, UtcDateTime


class TravelRuleCheck(SQLModel, table=True):
    """A check of a transfer, and what came of it. No personal data: parties are accounts."""

    __tablename__ = "travel_rule_checks"
    __table_args__ = (Index("travel_rule_checks_of_transfer", "transfer_id"),)

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    transfer_id: str
    jurisdiction: str
    amount_usd_minor: int | None = Field(default=None, sa_type=BigInt)
    is_compliant: bool
    risk_level: str
    issues: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    workflow_id: str
    checked_at: datetime = Field(sa_type=UtcDateTime)
    valid_until: datetime = Field(sa_type=UtcDateTime)

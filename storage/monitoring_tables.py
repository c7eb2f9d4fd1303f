"""The tables of monitoring: up to where each rule has judged, and what broke one."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from storage.types import BigInt, UtcDateTime, utc_now


class JudgedUpTo(SQLModel, table=True):
    """How far one rule has judged one ledger account: no posting is judged by it twice."""

    __tablename__ = "judged_up_to"

    ledger_account_id: str = Field(foreign_key="ledger_accounts.id", primary_key=True)
    rule_id: str = Field(primary_key=True)
    version: int = Field(default=0, sa_type=BigInt)
    judged_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Violation(SQLModel, table=True):
    """A posting that breaks a rule. `action_taken` is there once it has been told of."""

    __tablename__ = "violations"
    __table_args__ = (
        UniqueConstraint("rule_id", "ledger_account_id", "account_version"),
        CheckConstraint(
            "action_taken IN ('flagged','blocked','account_frozen')", "violation_action"
        ),
        Index("violations_of_workflow", "workflow_id", "id"),
        Index("violations_of_account", "account_id", "id"),
    )

    id: str = Field(primary_key=True, description="vio_…")
    tenant_id: str = Field(foreign_key="tenants.id")
    rule_id: str
    severity: str
    account_id: str = Field(foreign_key="accounts.id")
    ledger_account_id: str = Field(foreign_key="ledger_accounts.id")
    account_version: int = Field(sa_type=BigInt)
    entry_id: str
    current_value: str
    threshold: str
    asset_code: str | None = None
    case_id: str
    action_taken: str | None = None
    workflow_id: str
    detected_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)

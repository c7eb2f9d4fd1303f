"""Tables of what happens to accounts besides money: versions, freezes, holders, mandates."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from storage.types import UtcDateTime, utc_now


class AccountVersion(SQLModel, table=True):
    """One change of an account's details. Restoring the old ones is a change, too."""

    __tablename__ = "account_versions"

    account_id: str = Field(foreign_key="accounts.id", primary_key=True)
    version: int = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    previous: dict[str, Any] = Field(sa_type=JSON, description="the changed fields as they were")
    current: dict[str, Any] = Field(sa_type=JSON)
    workflow_id: str
    changed_by: str
    changed_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class AccountFreeze(SQLModel, table=True):
    """A freeze of an account: who asked for it, and who lifted it. One at a time is in force."""

    __tablename__ = "account_freezes"
    __table_args__ = (
        CheckConstraint("source IN ('manual','compliance')", "freeze_source"),
        Index(
            "account_freezes_in_force",
            "account_id",
            unique=True,
            sqlite_where=text("lifted_at IS NULL"),
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True, description="the workflow that placed it")
    tenant_id: str = Field(foreign_key="tenants.id")
    account_id: str = Field(foreign_key="accounts.id")
    reason: str
    authorized_by: str
    source: str = "manual"
    case_id: str | None = None
    frozen_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    lifted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    lifted_by: str | None = Field(default=None, description="the workflow that lifted it")


class AccountHolder(SQLModel, table=True):
    """A person as a KYC provider knows them. Personal data: it leaves the database for nobody."""

    __tablename__ = "account_holders"

    tenant_id: str = Field(foreign_key="tenants.id", primary_key=True)
    user_uuid: str = Field(primary_key=True)
    full_name: str | None = None
    address: str | None = None
    document_id: str | None = None
    provider: str
    verified_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Mandate(SQLModel, table=True):
    """A standing permission to take money from an account. Closing the account revokes it."""

    __tablename__ = "mandates"
    __table_args__ = (
        CheckConstraint("state IN ('active','revoked')", "mandate_state"),
        Index("mandates_of_account", "account_id"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    account_id: str = Field(foreign_key="accounts.id")
    creditor: str
    state: str = "active"
    revoked_by: str | None = Field(default=None, description="the workflow that revoked it")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

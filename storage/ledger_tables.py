"""The tables of the books. What may never happen to them is forbidden by the database itself.

The triggers are in storage/ledger_rules.py: entries and postings are immutable, an entry is sealed
only when it balances, a hold is resolved at most once.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from storage.types import BigInt, UtcDateTime, utc_now

AVAILABLE = (
    "CASE normal WHEN 'credit' THEN credits_posted - debits_posted - debits_pending "
    "ELSE debits_posted - credits_posted - credits_pending END"
)


class Account(SQLModel, table=True):
    """A customer's account. Its money is in `ledger_accounts`, one row per asset."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("status IN ('pending','active','frozen','closed')", "account_status"),
        # A colon marks the bank's own ledger accounts, which have no limit.
        CheckConstraint("id NOT LIKE '%:%' AND id NOT LIKE '%/%'", "account_id"),
        Index("accounts_of_tenant", "tenant_id", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    user_uuid: str
    name: str
    type: str = "checking"
    status: str = "active"
    base_currency: str = "USD"
    version: int = 1
    account_metadata: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    frozen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    frozen_reason: str | None = None
    limits: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LedgerAccount(SQLModel, table=True):
    """One asset of one account: four counters that only grow or are released.

    `account_id` is None for the bank's own accounts (cash, fees, clearing), which have no limit.
    """

    __tablename__ = "ledger_accounts"
    __table_args__ = (
        CheckConstraint("normal IN ('debit','credit')", "ledger_normal"),
        CheckConstraint(
            "CASE WHEN account_id IS NULL THEN id LIKE '%:%/' || asset_code "
            "ELSE id = account_id || '/' || asset_code END",
            "ledger_account_name",
        ),
        CheckConstraint(
            "debits_posted >= 0 AND credits_posted >= 0 "
            "AND debits_pending >= 0 AND credits_pending >= 0",
            "ledger_counters",
        ),
        CheckConstraint(
            f"min_available IS NULL OR ({AVAILABLE}) >= min_available", "ledger_min_available"
        ),
        Index("ledger_accounts_of_account", "account_id"),
    )

    id: str = Field(primary_key=True, description="{account id or name}/{asset code}")
    tenant_id: str = Field(foreign_key="tenants.id")
    account_id: str | None = Field(default=None, foreign_key="accounts.id")
    asset_code: str
    normal: str = "credit"
    min_available: int | None = Field(default=0, sa_type=BigInt)
    version: int = Field(default=0, sa_type=BigInt)
    debits_posted: int = Field(default=0, sa_type=BigInt)
    credits_posted: int = Field(default=0, sa_type=BigInt)
    debits_pending: int = Field(default=0, sa_type=BigInt)
    credits_pending: int = Field(default=0, sa_type=BigInt)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class JournalEntryRow(SQLModel, table=True):
    """A set of postings that sums to zero per asset. Sealed once, then never changed."""

    __tablename__ = "journal_entries"
    __table_args__ = (
        UniqueConstraint("hold_id"),
        CheckConstraint("sealed IN (0, 1)", "entry_sealed"),
        Index("journal_entries_of_tenant", "tenant_id", "recorded_at"),
    )

    id: str = Field(primary_key=True, description="made by the caller: posting twice is once")
    tenant_id: str = Field(foreign_key="tenants.id")
    kind: str = Field(description="why: transfer, fee, deposit, conversion, reversal, …")
    fingerprint: str = Field(description="of the postings: the same id with others is refused")
    hold_id: str | None = Field(default=None, foreign_key="holds.id", description="what it settles")
    workflow_id: str | None = None
    effective_at: datetime = Field(sa_type=UtcDateTime)
    recorded_at: datetime = Field(sa_type=UtcDateTime)
    sealed: int = 0


class PostingRow(SQLModel, table=True):
    """One leg of a journal entry, with the version and balance it made."""

    __tablename__ = "postings"
    __table_args__ = (
        UniqueConstraint("ledger_account_id", "account_version"),
        CheckConstraint("direction IN (-1, 1)", "posting_direction"),
        CheckConstraint("amount_minor > 0", "posting_amount"),
    )

    entry_id: str = Field(foreign_key="journal_entries.id", primary_key=True)
    line: int = Field(primary_key=True)
    ledger_account_id: str = Field(foreign_key="ledger_accounts.id")
    direction: int = Field(description="+1 debit, -1 credit")
    amount_minor: int = Field(sa_type=BigInt)
    account_version: int = Field(sa_type=BigInt)
    balance_after: int = Field(sa_type=BigInt, description="credits - debits posted")


class Hold(SQLModel, table=True):
    """Money set aside on one ledger account until it is settled or released, once.

    A release of a hold nobody placed leaves a row of amount 0, `released`: a late placing of the
    same id is refused by it.
    """

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("state IN ('placed','settled','released')", "hold_state"),
        CheckConstraint("amount_minor > 0 OR state = 'released'", "hold_amount"),
        CheckConstraint(
            "(amount_minor > 0) = (placed_version IS NOT NULL) "
            "AND (resolved_version IS NOT NULL) = (state <> 'placed' AND amount_minor > 0) "
            "AND (state = 'placed') = (resolved_at IS NULL)",
            "hold_versions",
        ),
        UniqueConstraint("ledger_account_id", "placed_version"),
        UniqueConstraint("ledger_account_id", "resolved_version"),
        Index("holds_of_account", "ledger_account_id", "state"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    ledger_account_id: str = Field(foreign_key="ledger_accounts.id")
    amount_minor: int = Field(sa_type=BigInt)
    state: str = "placed"
    workflow_id: str | None = None
    placed_version: int | None = Field(default=None, sa_type=BigInt)
    resolved_version: int | None = Field(default=None, sa_type=BigInt)
    placed_at: datetime = Field(sa_type=UtcDateTime)
    resolved_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

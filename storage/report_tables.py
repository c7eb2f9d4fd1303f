"""The tables of compliance reports: what was reported, and the very bytes."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Date, Index, LargeBinary
from sqlmodel import Field, SQLModel

from storage.types import UtcDateTime, utc_now


class ComplianceReport(SQLModel, table=True):
    """A report to a regulator, from collecting to its acknowledgement."""

    __tablename__ = "compliance_reports"
    __table_args__ = (
        CheckConstraint(
            "status IN ('collected','rendered','stored','submitted','acknowledged',"
            "'failed','cancelled','expired')",
            "compliance_report_status",
        ),
        Index("compliance_reports_of_tenant", "tenant_id", "created_at", "id"),
    )

    id: str = Field(primary_key=True, description="rpt_…")
    tenant_id: str = Field(foreign_key="tenants.id")
    framework: str
    report_type: str
    jurisdiction: str
    format: str
    period_from: date = Field(sa_type=Date)
    period_to: date = Field(sa_type=Date)
    status: str = "collected"
    record_count: int = 0
    sha256: str | None = None
    size_bytes: int | None = None
    regulator: str | None = Field(default=None, description="who took it")
    reference: str | None = Field(default=None, description="the regulator's")
    workflow_id: str
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    deadline_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    submitted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    acknowledged_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ReportFile(SQLModel, table=True):
    """Bytes of a report: the `records` it is made of, its `draft`, and the `file` itself."""

    __tablename__ = "report_files"
    __table_args__ = (CheckConstraint("kind IN ('records','draft','file')", "report_file_kind"),)

    report_id: str = Field(foreign_key="compliance_reports.id", primary_key=True)
    kind: str = Field(primary_key=True)
    content: bytes = Field(sa_type=LargeBinary, description="of `records`: zlib of JSON")

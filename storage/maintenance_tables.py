"""The table of maintenance windows."""

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from storage.types import UtcDateTime, utc_now


class MaintenanceWindow(SQLModel, table=True):
    """Maintenance of one tenant's business, or of everybody's, from its announcement to its end."""

    __tablename__ = "maintenance_windows"
    __table_args__ = (
        CheckConstraint(
            "status IN ('scheduled','active','ended','called_off')", "maintenance_status"
        ),
        CheckConstraint(
            "(actual_start IS NOT NULL) = (status IN ('active','ended')) "
            "AND (actual_end IS NOT NULL) = (status = 'ended')",
            "maintenance_times",
        ),
        Index("maintenance_of_tenant", "tenant_id", "created_at", "id"),
        # What every write of every API process asks for: hardly ever a row.
        Index(
            "maintenance_read_only",
            "tenant_id",
            sqlite_where=text("status = 'active' AND read_only"),
            postgresql_where=text("status = 'active' AND read_only"),
        ),
    )

    id: str = Field(primary_key=True, description="mnt_…")
    tenant_id: str = Field(foreign_key="tenants.id", description="whose it is")
    everywhere: bool = False
    title: str
    description: str
    impact: str
    affected_services: list[str] = Field(sa_type=JSON)
    read_only: bool = False
    status: str = "scheduled"
    scheduled_start: datetime = Field(sa_type=UtcDateTime)
    scheduled_end: datetime = Field(sa_type=UtcDateTime)
    actual_start: datetime | None = Field(default=None, sa_type=UtcDateTime)
    actual_end: datetime | None = Field(default=None, sa_type=UtcDateTime)
    workflow_id: str
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)

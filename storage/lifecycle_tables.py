"""Database tables of what outlives a request: replays of events, rotations of signing secrets."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from storage.types import UtcDateTime, utc_now


class ReplayJob(SQLModel, table=True):
    """A window of events on its way to one endpoint once more. `cursor` is its checkpoint.

    `examined` = `requeued` + `created` + `skipped`, at every commit. `total` is what was counted
    when it was asked for.
    """

    __tablename__ = "replay_jobs"
    __table_args__ = (
        CheckConstraint("state IN ('running','paused','completed','cancelled')", "replay_state"),
        CheckConstraint("examined = requeued + created + skipped", "replay_totals"),
        Index("replay_jobs_of_tenant", "tenant_id", "id"),
        Index(
            "replay_jobs_open",
            "endpoint_id",
            unique=True,
            sqlite_where=text("state IN ('running','paused')"),
            postgresql_where=text("state IN ('running','paused')"),
        ),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    endpoint_id: str = Field(foreign_key="endpoints.id")
    state: str = "running"
    reason: str | None = Field(default=None, description="what it waits for, or why it ended")
    since: datetime = Field(sa_type=UtcDateTime)
    until: datetime = Field(sa_type=UtcDateTime)
    event_types: list[str] = Field(default_factory=list, sa_type=JSON)
    states: list[str] = Field(default_factory=list, sa_type=JSON)
    never_attempted: bool = False
    per_second: int
    total: int = 0
    total_is_exact: bool = True
    examined: int = 0
    requeued: int = 0
    created: int = 0
    skipped: int = 0
    batch: int = Field(default=0, description="the batches committed so far")
    cursor: str = Field(default="", description="the id of the last event examined")
    created_by: str
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SecretRotation(SQLModel, table=True):
    """One change of an endpoint's secret, from the new one's first signature to the old's last."""

    __tablename__ = "secret_rotations"
    __table_args__ = (
        CheckConstraint("state IN ('overlapping','completed','rolled_back')", "rotation_state"),
        CheckConstraint("kind IN ('v1','v1a')", "rotation_kind"),
        Index("secret_rotations_of_endpoint", "endpoint_id", "id"),
        Index(
            "secret_rotations_open",
            "endpoint_id",
            unique=True,
            sqlite_where=text("state = 'overlapping'"),
            postgresql_where=text("state = 'overlapping'"),
        ),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    endpoint_id: str = Field(foreign_key="endpoints.id")
    kind: str = "v1"
    state: str = "overlapping"
    new_secret_id: str
    old_secret_ids: list[str] = Field(sa_type=JSON)
    started_by: str
    started_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime, description="when the old ones stop signing")
    announced_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SecretChange(SQLModel, table=True):
    """The audit of an endpoint's secrets: what was done to which, when, and by whom."""

    __tablename__ = "secret_changes"
    __table_args__ = (Index("secret_changes_of_endpoint", "endpoint_id", "id"),)

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    endpoint_id: str = Field(foreign_key="endpoints.id")
    secret_id: str
    kind: str
    change: str = Field(description="created, announced, expires, expired, rolled_back, revived")
    details: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    actor: str = Field(description="system, or the id of the API key")
    at: datetime = Field(sa_type=UtcDateTime)

"""Database tables of how an endpoint is doing, and of its place in the claim.

Rows of their own, because they change with every batch: the endpoint's row is its owner's.
"""

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from storage.types import UtcDateTime


class EndpointTally(SQLModel, table=True):
    """How an endpoint is doing, counted as its attempts are recorded, and how it recovers."""

    __tablename__ = "endpoint_tallies"
    __table_args__ = (
        CheckConstraint("drain IN ('drain','skip','newest_per_key')", "drain_mode"),
        Index(
            "endpoint_tallies_due",
            "recovery_due_at",
            sqlite_where=text("recovery_due_at IS NOT NULL"),
            postgresql_where=text("recovery_due_at IS NOT NULL"),
        ),
    )

    endpoint_id: str = Field(foreign_key="endpoints.id", primary_key=True)
    minutes: list[list[int]] = Field(
        default_factory=list, sa_type=JSON, description="[minute, attempts, failures], the last few"
    )
    failures_in_a_row: int = 0
    failed_deliveries: list[str] = Field(
        default_factory=list, sa_type=JSON, description="some that failed since the last success"
    )
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    warned_percent: int = Field(default=0, description="of the time after which it is disabled")
    latency_ms: int = Field(default=0, description="of its answers, a moving average")
    recovery_due_at: datetime | None = Field(
        default=None, sa_type=UtcDateTime, description="when RecoverEndpoint does its next step"
    )
    recovery_round: int = Field(default=0, description="probes that failed, or batches let go")
    probe_first: str | None = Field(default=None, description="the delivery a person asked for")
    drain: str = Field(default="drain", description="what becomes of what is parked")
    drain_until: str | None = Field(default=None, description="the last id that `drain` is for")
    drain_actor: str = "system"


class EndpointLane(SQLModel, table=True):
    """An endpoint's place in the claim. Its row is locked by whoever claims for the endpoint."""

    __tablename__ = "endpoint_lanes"

    endpoint_id: str = Field(foreign_key="endpoints.id", primary_key=True)
    sent_until: datetime | None = Field(
        default=None, sa_type=UtcDateTime, description="up to when its rate limit is used up"
    )

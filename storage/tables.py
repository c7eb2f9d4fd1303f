"""Database tables of sagas, events and deliveries. One class per table, one meaning per column.

The books have a page of their own: storage/ledger_tables.py.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from storage.access_tables import ApiKey as ApiKey
from storage.access_tables import IdempotencyKey as IdempotencyKey
from storage.access_tables import Tenant as Tenant
from storage.types import BigInt, UtcDateTime, utc_now

UNSETTLED = "state IN ('pending','claimed','retrying','parked')"
HOLDS_UP = "ordering_key IS NOT NULL AND state IN ('claimed','retrying','parked')"
WAITS_FOR_ENDPOINT = "state = 'parked' AND hold IS NULL"


class Endpoint(SQLModel, table=True):
    """A customer's URL, what it wants to hear of, and how it is doing. The API says *webhook*."""

    __tablename__ = "endpoints"
    __table_args__ = (
        CheckConstraint(
            "health IN ('healthy','failing','parked','recovering','disabled')", "endpoint_health"
        ),
        Index("endpoints_of_tenant", "tenant_id", "deleted_at"),
        Index(
            "endpoints_unwell",
            "id",
            sqlite_where=text("health <> 'healthy'"),
            postgresql_where=text("health <> 'healthy'"),
        ),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    url: str
    name: str | None = None
    description: str | None = None
    event_types: list[str] = Field(sa_type=JSON)
    payload_filter: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    headers_sealed: bytes | None = Field(
        default=None, sa_type=LargeBinary, description="custom headers, encrypted: may be secrets"
    )
    signature_style: str = "timestamped"
    timeout_ms: int = 15_000
    retry_schedule: str | None = None
    retry_schedules: dict[str, str] = Field(
        default_factory=dict, sa_type=JSON, description="of its own for some event types"
    )
    permanent_codes: list[int] = Field(default_factory=list, sa_type=JSON)
    rate_limit_per_minute: int | None = None
    max_in_flight: int = 50
    ordering: str = "none"
    ordering_key: str | None = None
    head_of_line: str = "block"
    endpoint_metadata: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    health: str = "healthy"
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    disabled_reason: str | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    last_triggered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class EndpointSecret(SQLModel, table=True):
    """A signing secret, encrypted. Several are live while a rotation overlaps."""

    __tablename__ = "endpoint_secrets"
    __table_args__ = (CheckConstraint("kind IN ('v1','v1a')", "secret_kind"),)

    id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="endpoints.id", index=True)
    kind: str = "v1"
    sealed: bytes = Field(sa_type=LargeBinary)
    key_id: str = Field(description="which key at rest sealed it")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Event(SQLModel, table=True):
    """Something that happened, with the very bytes that are sent. This table is the outbox."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("workflow_id", "sequence"),
        Index("events_of_tenant", "tenant_id", "id"),
        Index("events_of_tenant_by_type", "tenant_id", "type", "id"),
        Index(
            "events_by_external_id",
            "tenant_id",
            "external_id",
            unique=True,
            sqlite_where=text("external_id IS NOT NULL"),
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    type: str
    workflow_id: str | None = None
    sequence: int | None = None
    external_id: str | None = Field(default=None, description="its publisher's own id of it")
    body: bytes | None = Field(sa_type=LargeBinary, description="None once expunged")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Delivery(SQLModel, table=True):
    """One event on its way to one endpoint."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "endpoint_id"),
        CheckConstraint(
            "state IN ('pending','claimed','retrying','parked',"
            "'succeeded','dead_lettered','cancelled')",
            "delivery_state",
        ),
        Index(
            "deliveries_pending",
            "priority",
            "tenant_id",
            "endpoint_id",
            "ordering_key",
            "id",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "deliveries_holding_up",
            "endpoint_id",
            "ordering_key",
            "state",
            "id",
            sqlite_where=text(HOLDS_UP),
            postgresql_where=text(HOLDS_UP),
        ),
        Index(
            "deliveries_claimed",
            "claim_id",
            sqlite_where=text("state IN ('claimed','retrying')"),
            postgresql_where=text("state IN ('claimed','retrying')"),
        ),
        Index(
            "deliveries_in_flight",
            "tenant_id",
            "endpoint_id",
            "claimed_until",
            sqlite_where=text("state = 'claimed'"),
            postgresql_where=text("state = 'claimed'"),
        ),
        Index(
            "deliveries_due",
            "next_attempt_at",
            sqlite_where=text("state = 'retrying'"),
            postgresql_where=text("state = 'retrying'"),
        ),
        Index(
            "deliveries_parked",
            "endpoint_id",
            "id",
            sqlite_where=text(WAITS_FOR_ENDPOINT),
            postgresql_where=text(WAITS_FOR_ENDPOINT),
        ),
        Index("deliveries_of_tenant", "tenant_id", "id"),
        Index("deliveries_of_endpoint", "endpoint_id", "id"),
        Index(
            "deliveries_undelivered",
            "tenant_id",
            "id",
            sqlite_where=text("state <> 'succeeded'"),
            postgresql_where=text("state <> 'succeeded'"),
        ),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    event_id: str = Field(foreign_key="events.id")
    endpoint_id: str = Field(foreign_key="endpoints.id")
    event_type: str
    ordering_key: str | None = Field(default=None, description="where it stands in line, if at all")
    priority: int = Field(default=0, description="0 goes first; what a replay sends again is 1")
    state: str = "pending"
    reason: str | None = Field(default=None, description="why it is in this state")
    hold: str | None = Field(
        default=None, description="why it waits although its endpoint does not: paused, key_parked"
    )
    attempts: int = Field(default=0, description="attempts recorded so far")
    attempts_before: int = Field(
        default=0, description="of them, made before the retry schedule began anew: by a replay"
    )
    trigger: str = Field(default="schedule", description="who caused the next attempt")
    claim_id: str | None = None
    claimed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    settled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DeliveryChange(SQLModel, table=True):
    """A change of a delivery's state that its attempts do not tell: parked, redelivered, …"""

    __tablename__ = "delivery_changes"

    id: str = Field(primary_key=True)
    delivery_id: str = Field(foreign_key="deliveries.id", index=True)
    from_state: str
    to_state: str
    reason: str
    actor: str = Field(description="system, or the id of the API key")
    at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Attempt(SQLModel, table=True):
    """One POST: what came back, what was decided, and why."""

    __tablename__ = "attempts"
    __table_args__ = (CheckConstraint("number >= 1"), CheckConstraint("duration_ms >= 0"))

    delivery_id: str = Field(foreign_key="deliveries.id", primary_key=True)
    number: int = Field(primary_key=True)
    trigger: str = Field(description="schedule, manual, replay or probe")
    outcome: str
    status_code: int | None = None
    error: str | None = None
    decision: str
    reason: str
    next_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    duration_ms: int
    response_headers: list[list[str]] = Field(default_factory=list, sa_type=JSON)
    response_body: bytes = Field(default=b"", sa_type=LargeBinary)
    sent_at: datetime = Field(sa_type=UtcDateTime)


class SagaRun(SQLModel, table=True):
    """One saga, from the request that was accepted to its end. `workflow_id` is Temporal's too."""

    __tablename__ = "saga_runs"
    __table_args__ = (
        CheckConstraint(
            "state IN ('accepted','running','compensating','stuck',"
            "'completed','failed','timed_out','cancelled')",
            "saga_state",
        ),
        Index("saga_runs_of_tenant", "tenant_id", "accepted_at", "workflow_id"),
        Index("saga_runs_of_tenant_by_type", "tenant_id", "type", "accepted_at", "workflow_id"),
        Index(
            "saga_runs_accepted",
            "accepted_at",
            sqlite_where=text("state = 'accepted'"),
            postgresql_where=text("state = 'accepted'"),
        ),
        # Nearly all are completed: those are found without an index of their own.
        Index(
            "saga_runs_of_tenant_by_state",
            "tenant_id",
            "state",
            "accepted_at",
            "workflow_id",
            sqlite_where=text("state <> 'completed'"),
            postgresql_where=text("state <> 'completed'"),
        ),
        Index("saga_runs_of_subject", "subject_id"),
    )

    workflow_id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    type: str
    state: str = "accepted"
    summary: str = Field(default="", description="one readable line, shown by the engine's UI too")
    request: dict[str, Any] = Field(
        default_factory=dict,
        sa_type=JSON,
        description="`input`: what the workflow is given; `kept`: what is personal and stays here",
    )
    result: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    initiated_by: str
    subject_type: str | None = None
    subject_id: str | None = None
    parent_id: str | None = None
    run_id: str | None = None
    last_sequence: int = 0
    accepted_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    deadline_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SagaStep(SQLModel, table=True):
    """A step's effect, once; and the fence that keeps a late action out after its compensation."""

    __tablename__ = "saga_steps"
    __table_args__ = (CheckConstraint("state IN ('done','undone','fenced')", "step_state"),)

    workflow_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    state: str
    position: int
    result: Any = Field(default=None, sa_type=JSON, nullable=True)
    undone: Any = Field(
        default=None, sa_type=JSON, nullable=True, description="what the compensation did"
    )
    attempt: int = 1
    started_at: datetime = Field(sa_type=UtcDateTime)
    completed_at: datetime = Field(sa_type=UtcDateTime)
    undone_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Transfer(SQLModel, table=True):
    """A customer's transfer, from acceptance to its end."""

    __tablename__ = "transfers"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", "transfer_amount"),
        Index("transfers_of_tenant", "tenant_id", "created_at", "id"),
        Index(
            "transfers_of_tenant_by_status",
            "tenant_id",
            "status",
            "created_at",
            "id",
            sqlite_where=text("status <> 'completed'"),
            postgresql_where=text("status <> 'completed'"),
        ),
        Index("transfers_from", "from_account", "created_at", "id"),
        Index("transfers_to", "to_account", "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenants.id")
    from_account: str
    to_account: str
    amount_minor: int = Field(sa_type=BigInt)
    asset_code: str
    fee_minor: int = Field(default=0, sa_type=BigInt)
    status: str = "accepted"
    reference: str | None = None
    rail: str = "internal"
    transfer_metadata: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    workflow_id: str
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    reversed_by: str | None = None
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    completed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ConnectorOperation(SQLModel, table=True):
    """What a sandbox of an outside party knows: one operation, by the caller's id.

    `fenced` is an operation that was called off before it arrived: it will be refused.
    """

    __tablename__ = "connector_operations"

    connector: str = Field(primary_key=True)
    operation_id: str = Field(primary_key=True)
    state: str
    request: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    answer: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    calls: int = Field(default=1, description="how often it was asked: faults are counted by it")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Installation(SQLModel, table=True):
    """Facts about this installation, by name: the data key at rest in use, the schema's birth."""

    __tablename__ = "installation"

    name: str = Field(primary_key=True)
    content: str
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)

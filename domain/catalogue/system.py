"""System events: maintenance, limits, keys, security and the health of the service itself."""

from typing import Final, Literal, Self

from pydantic import Field

from domain.catalogue.model import Count, EventData, JsonObject, Severity, Timestamp

Status = Literal["operational", "degraded", "down"]


class SystemEvent(EventData):
    category = "system"


class MaintenanceEvent(SystemEvent):
    """A maintenance window. On the wire `text` is `description`, which events call their own."""

    producer = "MaintenanceWindow"

    maintenance_id: str
    title: str
    text: str = Field(alias="description")
    affected_services: tuple[str, ...]
    impact: Literal["minor", "major", "critical"]
    scheduled_start: Timestamp
    scheduled_end: Timestamp
    read_only: bool
    metadata: JsonObject = Field(default_factory=dict)
    actual_start: Timestamp


class SystemMaintenanceStart(MaintenanceEvent):
    event_type = "system.maintenance_start"
    description = "Sent when maintenance begins."

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(MAINTENANCE)


class SystemMaintenanceEnd(MaintenanceEvent):
    event_type = "system.maintenance_end"
    description = "Sent when maintenance is over, or was called off while it ran."

    actual_end: Timestamp
    duration_seconds: Count

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **MAINTENANCE,
                "actual_end": "2026-02-01T02:41:00Z",
                "duration_seconds": 2460,
            }
        )


class SystemRateLimitWarning(SystemEvent):
    event_type = "system.rate_limit_warning"
    description = "Sent once per window, when an API key has used 80 % of its limit."
    producer = "the rate limiter"

    api_key_id: str
    key_prefix: str
    limit_type: str
    limit: Count
    remaining: Count
    used: Count
    threshold_percent: Count
    window_seconds: Count
    metadata: JsonObject = Field(default_factory=dict)
    resets_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "api_key_id": "key_01kdw3v5h04mnpzx45hy43kwjr",
                "key_prefix": "sp_live",
                "limit_type": "requests_per_hour",
                "limit": 1000,
                "remaining": 200,
                "used": 800,
                "threshold_percent": 80,
                "window_seconds": 3600,
                "resets_at": "2026-01-01T13:00:00Z",
            }
        )


class SystemApiKeyExpiring(SystemEvent):
    event_type = "system.api_key_expiring"
    description = "Sent 30, 7 and 1 days before an API key expires."
    producer = "ApiKeyExpiry"

    api_key_id: str
    name: str
    key_prefix: str
    expires_at: Timestamp
    days_remaining: Count
    permissions: tuple[str, ...]
    metadata: JsonObject = Field(default_factory=dict)

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "api_key_id": "key_01kdw3v5h04mnpzx45hy43kwjr",
                "name": "Payments, production",
                "key_prefix": "sp_live",
                "expires_at": "2026-01-31T00:00:00Z",
                "days_remaining": 30,
                "permissions": ["read", "write"],
            }
        )


class SystemSecurityAlert(SystemEvent):
    """On the wire `text` is `description`, which events call their own."""

    event_type = "system.security_alert"
    description = "Sent when something happened that looks like an attack or a leaked secret."
    producer = "detectors in the API's authentication and in delivery"

    alert_id: str
    type: Literal[
        "failed_logins", "ip_blocked", "new_ip", "webhook_signature_abuse", "webhook_disabled"
    ]
    severity: Severity
    text: str = Field(alias="description")
    ip: str | None
    actor: str | None
    metadata: JsonObject = Field(default_factory=dict)
    detected_at: Timestamp
    recommended_action: str

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "alert_id": "alert_01kdw6q9c096q14dr9gpqy77zx",
                "type": "failed_logins",
                "severity": "high",
                "description": "20 requests with a wrong API key from one address in 60 seconds",
                "ip": "203.0.113.7",
                "actor": None,
                "detected_at": "2026-01-01T12:00:00Z",
                "recommended_action": "Rotate the API key if the address is not yours.",
            }
        )


class SystemStatusChange(SystemEvent):
    event_type = "system.status_change"
    description = "Sent when a component, or one of your webhooks, changes its health."
    producer = "StatusMonitor, RecoverEndpoint"

    component: str
    previous_status: Status
    new_status: Status
    overall_status: Status
    reason: str
    metadata: JsonObject = Field(default_factory=dict)
    changed_at: Timestamp
    incident_id: str | None

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "component": "relay",
                "previous_status": "operational",
                "new_status": "degraded",
                "overall_status": "degraded",
                "reason": "the oldest pending delivery is 75 seconds old",
                "changed_at": "2026-01-01T12:00:00Z",
                "incident_id": "inc_01kdw6v1r0yyk596ngya1dq91k",
            }
        )


MAINTENANCE: Final = {
    "maintenance_id": "mnt_01kgbpw7e05gqapenecfseczp1",
    "title": "Database upgrade",
    "description": "Balances can be read but no money moves while the database is upgraded.",
    "affected_services": ["api", "database"],
    "impact": "minor",
    "scheduled_start": "2026-02-01T02:00:00Z",
    "scheduled_end": "2026-02-01T03:00:00Z",
    "read_only": True,
    "actual_start": "2026-02-01T02:00:00Z",
}

EVENTS: Final[tuple[type[EventData], ...]] = (
    SystemMaintenanceStart,
    SystemMaintenanceEnd,
    SystemRateLimitWarning,
    SystemApiKeyExpiring,
    SystemSecurityAlert,
    SystemStatusChange,
)

"""What a tenant is told about one of its endpoints, through its other ones."""

from datetime import datetime
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import EventData, SystemSecurityAlert, SystemStatusChange, timestamp_text
from domain.health import DISABLE_AFTER, Tally
from domain.ids import new_id
from storage.outbox import publish

Status = Literal["operational", "degraded", "down"]
RECEIVER_ASKED: Final = ("gone", "disabled_by_receiver")


async def tell_warning(
    session: AsyncSession, tenant_id: str, endpoint_id: str, tally: Tally, *, now: datetime
) -> None:
    """At 50, 75 and 100 percent of the time after which a failing endpoint is disabled."""
    assert tally.failing_since is not None, "only a failing endpoint is warned of"
    since = timestamp_text(tally.failing_since.replace(microsecond=0))
    is_out = tally.warned_percent >= 100
    happens = "is disabled" if is_out else f"will be disabled {DISABLE_AFTER.days} days after that"
    change = SystemStatusChange(
        component=endpoint_id,
        previous_status="operational" if tally.warned_percent == 50 else "degraded",
        new_status="down" if is_out else "degraded",
        overall_status="operational",
        reason=f"nothing was delivered to this webhook since {since}: it {happens}",
        metadata={
            "webhook_id": endpoint_id,
            "failing_since": since,
            "percent": tally.warned_percent,
        },
        changed_at=now,
        incident_id=_incident(endpoint_id),
    )
    await _tell(session, tenant_id, endpoint_id, change, now)


async def tell_recovered(
    session: AsyncSession, tenant_id: str, endpoint_id: str, *, now: datetime
) -> None:
    """After a warning: it answers again."""
    change = SystemStatusChange(
        component=endpoint_id,
        previous_status="degraded",
        new_status="operational",
        overall_status="operational",
        reason="this webhook answers again, and what waited for it is being sent",
        metadata={"webhook_id": endpoint_id},
        changed_at=now,
        incident_id=_incident(endpoint_id),
    )
    await _tell(session, tenant_id, endpoint_id, change, now)


async def tell_disabled(
    session: AsyncSession, tenant_id: str, endpoint_id: str, reason: str, *, now: datetime
) -> None:
    by_receiver = reason in RECEIVER_ASKED
    alert = SystemSecurityAlert.model_validate(
        {
            "alert_id": new_id("alert"),
            "type": "webhook_disabled",
            "severity": "medium" if by_receiver else "high",
            "description": f"webhook {endpoint_id} was disabled: {reason}",
            "ip": None,
            "actor": None,
            "metadata": {"webhook_id": endpoint_id, "reason": reason},
            "detected_at": now,
            "recommended_action": "Mend the receiver, then enable the webhook: "
            "what was parked meanwhile will be sent.",
        }
    )
    await _tell(session, tenant_id, endpoint_id, alert, now)


async def _tell(
    session: AsyncSession, tenant_id: str, endpoint_id: str, news: EventData, now: datetime
) -> None:
    await publish(session, tenant_id, [(news, None)], now=now, about_endpoint=endpoint_id)


def _incident(endpoint_id: str) -> str:
    """The same from the first warning to the recovery."""
    return f"inc_{endpoint_id}"

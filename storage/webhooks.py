"""Webhooks, as customers call their endpoints: made, read, changed, switched off, deleted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import LimitExceeded
from storage import health
from storage.health import Parked
from storage.outbox import DELIVERIES, ENDPOINTS
from storage.redelivery import By
from storage.tables import Endpoint, EndpointSecret

BY_OWNER = By("system", "enabled by its owner")
ENDPOINTS_MAX = 50
STATISTICS_WINDOW = 500
UNSETTLED = ("pending", "claimed", "retrying", "parked")


def webhooks_of(tenant_id: str) -> Select[Endpoint]:
    return select(Endpoint).where(
        ENDPOINTS.c.tenant_id == tenant_id, ENDPOINTS.c.deleted_at.is_(None)
    )


async def add_webhook(session: AsyncSession, endpoint: Endpoint, secret: EndpointSecret) -> None:
    """Raises LimitExceeded."""
    query = webhooks_of(endpoint.tenant_id).with_only_columns(func.count(ENDPOINTS.c.id))
    if (await session.scalar(query) or 0) >= ENDPOINTS_MAX:
        raise LimitExceeded(f"a tenant has at most {ENDPOINTS_MAX} webhooks", maximum=ENDPOINTS_MAX)
    session.add(endpoint)
    await session.flush()
    session.add(secret)
    await session.flush()


async def find_webhook(session: AsyncSession, id: str, tenant_id: str) -> Endpoint | None:
    endpoint = await session.get(Endpoint, id)
    if endpoint is None or endpoint.tenant_id != tenant_id or endpoint.deleted_at is not None:
        return None
    return endpoint


async def enable(
    session: AsyncSession,
    endpoint: Endpoint,
    by: By = BY_OWNER,
    *,
    parked: Parked = "drain",
    now: datetime,
) -> bool:
    """Send again; storage/health.py says what becomes of what was parked meanwhile.

    Returns whether anything is: then tell `runtime.delivery_control.DeliveryControl.recover`.
    """
    has_parked = await health.enable(session, endpoint.id, by, parked=parked, now=now)
    await session.refresh(endpoint)
    return has_parked


async def delete_webhook(session: AsyncSession, endpoint: Endpoint, *, now: datetime) -> None:
    """Stop sending for good. What was not delivered by now is cancelled, and says why."""
    endpoint.deleted_at = endpoint.updated_at = now
    await session.flush()
    await session.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.endpoint_id == endpoint.id, DELIVERIES.c.state.in_(UNSETTLED))
        .values(state="cancelled", reason="webhook_deleted", settled_at=now, next_attempt_at=None)
    )


async def recent_states(session: AsyncSession, endpoint_id: str) -> dict[str, int]:
    """How the endpoint's latest deliveries fare: their number by state."""
    recent: Any = (
        select(DELIVERIES.c.state)
        .where(DELIVERIES.c.endpoint_id == endpoint_id)
        .order_by(DELIVERIES.c.id.desc())
        .limit(STATISTICS_WINDOW)
        .subquery()
    )
    query = select(recent.c.state, func.count()).group_by(recent.c.state)
    return {state: number for state, number in await session.execute(query)}


async def endpoints_by_id(
    session: AsyncSession, tenant_id: str, ids: Sequence[str]
) -> dict[str, Endpoint]:
    """Deleted ones too: a delivery outlives its endpoint."""
    query = select(Endpoint).where(ENDPOINTS.c.tenant_id == tenant_id, ENDPOINTS.c.id.in_(ids))
    return {endpoint.id: endpoint for endpoint in await session.scalars(query)}

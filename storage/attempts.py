"""Load what an attempt needs: deliveries with the bytes to send, endpoints with their secrets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from storage.outbox import DELIVERIES, EVENTS
from storage.tables import Endpoint, EndpointSecret

LOADED = (
    DELIVERIES.c.id,
    DELIVERIES.c.state,
    DELIVERIES.c.tenant_id,
    DELIVERIES.c.event_id,
    DELIVERIES.c.event_type,
    DELIVERIES.c.endpoint_id,
    DELIVERIES.c.ordering_key,
    DELIVERIES.c.attempts,
    DELIVERIES.c.attempts_before,
    DELIVERIES.c.trigger,
    DELIVERIES.c.next_attempt_at,
    EVENTS.c.body,
    EVENTS.c.workflow_id,
)


@dataclass(frozen=True)
class Addressee:
    """An endpoint with its sealed secrets, as rows."""

    endpoint: Endpoint
    secrets: Sequence[EndpointSecret]


async def load_claim(session: AsyncSession, claim_id: str) -> Sequence[Any]:
    """The claim's rows that still matter: to send (claimed), or to hand on (retrying)."""
    query = _loaded().where(
        DELIVERIES.c.claim_id == claim_id, DELIVERIES.c.state.in_(("claimed", "retrying"))
    )
    rows: Sequence[Any] = (await session.execute(query.order_by(DELIVERIES.c.id))).all()
    return rows


async def load_delivery(session: AsyncSession, delivery_id: str) -> Any:
    """One delivery, or None if it was pruned."""
    return (await session.execute(_loaded().where(DELIVERIES.c.id == delivery_id))).one_or_none()


async def load_addressees(
    session: AsyncSession, endpoint_ids: Sequence[str]
) -> dict[str, Addressee]:
    endpoints = await session.scalars(select(Endpoint).where(col(Endpoint.id).in_(endpoint_ids)))
    secrets: dict[str, list[EndpointSecret]] = {}
    query = select(EndpointSecret).where(col(EndpointSecret.endpoint_id).in_(endpoint_ids))
    for secret in await session.scalars(query):
        secrets.setdefault(secret.endpoint_id, []).append(secret)
    return {
        endpoint.id: Addressee(endpoint, secrets.get(endpoint.id, [])) for endpoint in endpoints
    }


def _loaded() -> Select[Any]:
    return select(*LOADED).join(EVENTS, EVENTS.c.id == DELIVERIES.c.event_id)

"""Totals over all tenants: what is on its way, and what the last hour brought."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.listing import first_id
from storage.outbox import DELIVERIES, ENDPOINTS
from storage.recording import ATTEMPTS
from storage.saga_log import RUNS

# Each has a partial index with just these words.
PENDING = text("priority IN (0, 1) AND state = 'pending'")
UNSETTLED = {
    "pending": "state = 'pending'",
    "claimed": "state = 'claimed'",
    "retrying": "state = 'retrying'",
    "parked": "state = 'parked' AND hold IS NULL",
}


@dataclass(frozen=True)
class Totals:
    unsettled: dict[str, int]
    deliveries: dict[str, int]
    attempts: dict[str, int]
    open_sagas: dict[str, int]
    sagas: dict[str, int]
    unwell_endpoints: dict[str, int]
    relay_lag: timedelta


async def totals(session: AsyncSession, *, last: timedelta, now: datetime) -> Totals:
    since_delivery = first_id("dlv", now - last)
    return Totals(
        unsettled=await _unsettled(session),
        deliveries=await _grouped(session, DELIVERIES.c.state, DELIVERIES.c.id >= since_delivery),
        attempts=await _grouped(
            session, ATTEMPTS.c.outcome, ATTEMPTS.c.delivery_id >= since_delivery
        ),
        open_sagas=await _grouped(
            session, RUNS.c.state, text("state <> 'completed'"), RUNS.c.ended_at.is_(None)
        ),
        sagas=await _grouped(session, RUNS.c.state, RUNS.c.accepted_at >= now - last),
        unwell_endpoints=await _grouped(
            session,
            ENDPOINTS.c.health,
            text("health <> 'healthy'"),
            ENDPOINTS.c.deleted_at.is_(None),
        ),
        relay_lag=await relay_lag(session, now=now),
    )


async def relay_lag(session: AsyncSession, *, now: datetime) -> timedelta:
    """How long the oldest delivery that could be claimed has been waiting."""
    oldest: datetime | None = await session.scalar(
        select(func.min(DELIVERIES.c.created_at)).where(PENDING)
    )
    return max(now - oldest, timedelta()) if oldest is not None else timedelta()


async def _unsettled(session: AsyncSession) -> dict[str, int]:
    found: dict[str, int] = {}
    for state, condition in UNSETTLED.items():
        number = await session.scalar(
            select(func.count()).select_from(DELIVERIES).where(text(condition))
        )
        found[state] = number or 0
    return found


async def _grouped(session: AsyncSession, column: Any, *where: Any) -> dict[str, int]:
    query = select(column, func.count()).where(*where).group_by(column)
    return {str(name): number for name, number in await session.execute(query)}

"""Figures of an endpoint: how its latest deliveries and their attempts fared."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.health import PARKED
from storage.outbox import DELIVERIES
from storage.recording import ATTEMPTS
from storage.redelivery import TALLIES

LATEST = 500
COUNTED_MAX = 10_000
UNSETTLED = ("pending", "claimed", "retrying", "parked")


@dataclass(frozen=True)
class Figures:
    """Durations are of the attempts that were answered. `parked` counts no further than 10,000."""

    failures_in_a_row: int
    attempts: int
    attempts_by_outcome: dict[str, int]
    attempts_by_status_code: dict[str, int]
    duration_ms_p50: int | None
    duration_ms_p95: int | None
    oldest_undelivered_at: datetime | None
    parked: int
    parked_is_exact: bool


async def figures_of(session: AsyncSession, endpoint_id: str) -> Figures:
    attempts = await _latest_attempts(session, endpoint_id)
    answered = sorted(row.duration_ms for row in attempts if row.status_code is not None)
    failures = await session.scalar(
        select(TALLIES.c.failures_in_a_row).where(TALLIES.c.endpoint_id == endpoint_id)
    )
    parked = await _parked(session, endpoint_id)
    codes = Counter(str(row.status_code) for row in attempts if row.status_code is not None)
    return Figures(
        failures_in_a_row=failures or 0,
        attempts=len(attempts),
        attempts_by_outcome=dict(Counter(row.outcome for row in attempts)),
        attempts_by_status_code=dict(codes),
        duration_ms_p50=percentile(answered, 50),
        duration_ms_p95=percentile(answered, 95),
        oldest_undelivered_at=await _oldest_undelivered(session, endpoint_id),
        parked=min(parked, COUNTED_MAX),
        parked_is_exact=parked <= COUNTED_MAX,
    )


def percentile(ordered: list[int], percent: int) -> int | None:
    """The smallest that so many percent are not above. None of none."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


async def _latest_attempts(session: AsyncSession, endpoint_id: str) -> list[Any]:
    latest = (
        select(DELIVERIES.c.id)
        .where(DELIVERIES.c.endpoint_id == endpoint_id)
        .order_by(DELIVERIES.c.id.desc())
        .limit(LATEST)
    )
    columns = (ATTEMPTS.c.outcome, ATTEMPTS.c.status_code, ATTEMPTS.c.duration_ms)
    query = select(*columns).where(ATTEMPTS.c.delivery_id.in_(latest)).limit(COUNTED_MAX)
    return list(await session.execute(query))


async def _oldest_undelivered(session: AsyncSession, endpoint_id: str) -> datetime | None:
    """Among the latest, and among what is parked: the index that finds it has no other states."""
    latest = (
        select(DELIVERIES.c.created_at, DELIVERIES.c.state)
        .where(DELIVERIES.c.endpoint_id == endpoint_id)
        .order_by(DELIVERIES.c.id.desc())
        .limit(LATEST)
        .subquery()
    )
    recent: datetime | None = await session.scalar(
        select(func.min(latest.c.created_at)).where(latest.c.state.in_(UNSETTLED))
    )
    parked: datetime | None = await session.scalar(
        select(DELIVERIES.c.created_at)
        .where(DELIVERIES.c.endpoint_id == endpoint_id, PARKED)
        .order_by(DELIVERIES.c.id)
        .limit(1)
    )
    return min((found for found in (recent, parked) if found is not None), default=None)


async def _parked(session: AsyncSession, endpoint_id: str) -> int:
    some = select(DELIVERIES.c.id).where(DELIVERIES.c.endpoint_id == endpoint_id, PARKED)
    counted = select(func.count()).select_from(some.limit(COUNTED_MAX + 1).subquery())
    return await session.scalar(counted) or 0

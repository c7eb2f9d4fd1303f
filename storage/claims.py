"""Claim pending deliveries: fairly, in batches, never twice, never lost.

A claim is a lease: its id is written on the rows and is the id of the workflow that sends them. If
that workflow could not be started, the same claim is started again under the same id.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.batch import Claimed
from domain.ids import new_id
from storage.outbox import DELIVERIES

LANES_MAX = 64

# A loose index scan: one seek per endpoint that has something pending, whatever the backlog.
LANES = text(
    """
    WITH RECURSIVE lanes(endpoint_id) AS (
      SELECT (SELECT min(endpoint_id) FROM deliveries
              WHERE state = 'pending' AND endpoint_id > :after)
      UNION ALL
      SELECT (SELECT min(endpoint_id) FROM deliveries
              WHERE state = 'pending' AND endpoint_id > lanes.endpoint_id)
      FROM lanes WHERE lanes.endpoint_id IS NOT NULL
    )
    SELECT endpoint_id FROM lanes WHERE endpoint_id IS NOT NULL LIMIT :most
    """
)


async def find_lanes(session: AsyncSession, after: str) -> list[str]:
    """Endpoints with something pending, going round from `after`, so that each has its turn."""
    lanes = list(await session.scalars(LANES, {"after": after, "most": LANES_MAX}))
    if len(lanes) < LANES_MAX and after:
        first = await session.scalars(LANES, {"after": "", "most": LANES_MAX - len(lanes)})
        lanes += [lane for lane in first if lane not in lanes]
    return lanes


async def claim(
    session: AsyncSession, lanes: Sequence[str], *, size_max: int, lease: timedelta, now: datetime
) -> Claimed | None:
    """Claim up to `size_max` pending deliveries, the oldest of each lane, an equal share each."""
    chosen: list[str] = []
    for number, lane in enumerate(lanes):
        share = -(-(size_max - len(chosen)) // (len(lanes) - number))
        chosen += await _oldest(session, lane, share)
    if not chosen:
        return None
    claim_id = new_id("clm")
    await session.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id.in_(chosen))
        .values(state="claimed", claim_id=claim_id, claimed_until=now + lease)
    )
    return Claimed(claim_id, len(chosen))


async def _oldest(session: AsyncSession, lane: str, most: int) -> Sequence[str]:
    query = (
        select(DELIVERIES.c.id)
        .where(DELIVERIES.c.state == "pending", DELIVERIES.c.endpoint_id == lane)
        .order_by(DELIVERIES.c.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return (await session.scalars(query)).all()


async def expired_claims(
    session: AsyncSession, *, lease: timedelta, now: datetime, most: int = 32
) -> list[Claimed]:
    """Take over claims whose lease ran out: they are started again under their own id."""
    query = (
        select(DELIVERIES.c.claim_id, func.count().label("size"))
        .where(DELIVERIES.c.state == "claimed", DELIVERIES.c.claimed_until < now)
        .group_by(DELIVERIES.c.claim_id)
        .limit(most)
    )
    claims = [Claimed(row.claim_id, row.size) for row in await session.execute(query)]
    await extend(session, [claim.claim_id for claim in claims], until=now + lease)
    return claims


async def extend(session: AsyncSession, claim_ids: Sequence[str], *, until: datetime) -> None:
    """A claim that is being sent keeps its lease."""
    if claim_ids:
        await session.execute(
            update(DELIVERIES)
            .where(DELIVERIES.c.claim_id.in_(claim_ids), DELIVERIES.c.state == "claimed")
            .values(claimed_until=until)
        )


async def overdue_retries(
    session: AsyncSession, *, before: datetime, most: int = 100
) -> Sequence[Any]:
    """Retries whose time passed long ago: their workflow is missing and must be started again."""
    query = (
        select(DELIVERIES.c.id)
        .where(DELIVERIES.c.state == "retrying", DELIVERIES.c.next_attempt_at < before)
        .order_by(DELIVERIES.c.next_attempt_at)
        .limit(most)
    )
    return (await session.scalars(query)).all()

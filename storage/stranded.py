"""Rows on the wrong side of a race: pending for a parked endpoint, parked for a healthy one.

Whoever publishes reads an endpoint's health and then inserts; meanwhile the health may change. No
lock is taken for that on the hot path: what is left behind is found here, endpoint by endpoint.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.health import park_pending, start_draining
from storage.outbox import ENDPOINTS
from storage.redelivery import TALLIES

ENDPOINTS_MAX = 50

PENDING_ON_UNWELL = text(
    """
    SELECT id, health, deleted_at IS NOT NULL AS is_deleted FROM endpoints
    WHERE (health <> 'healthy' AND health IN ('parked', 'disabled'))
      AND EXISTS (SELECT 1 FROM deliveries WHERE state = 'pending' AND priority IN (0, 1)
                  AND tenant_id = endpoints.tenant_id AND endpoint_id = endpoints.id)
    LIMIT :most
    """
)

# A loose scan: one seek per endpoint that has something parked.
PARKED_ON_HEALTHY = text(
    """
    WITH RECURSIVE waiting(endpoint_id) AS (
      SELECT (SELECT min(endpoint_id) FROM deliveries WHERE state = 'parked' AND hold IS NULL)
      UNION ALL
      SELECT (SELECT min(endpoint_id) FROM deliveries WHERE state = 'parked' AND hold IS NULL
              AND endpoint_id > waiting.endpoint_id)
      FROM waiting WHERE endpoint_id IS NOT NULL
    )
    SELECT endpoint.id FROM waiting JOIN endpoints AS endpoint ON endpoint.id = waiting.endpoint_id
    WHERE endpoint.health IN ('healthy', 'failing') AND endpoint.deleted_at IS NULL
    LIMIT :most
    """
)


async def put_right(session: AsyncSession, *, now: datetime) -> int:
    """Park or let go what is on the wrong side. Returns of how many endpoints."""
    unwell = (await session.execute(PENDING_ON_UNWELL, {"most": ENDPOINTS_MAX})).all()
    for row in unwell:
        await park_pending(session, row.id, reason=f"endpoint_{row.health}")
    healthy = await session.scalars(PARKED_ON_HEALTHY, {"most": ENDPOINTS_MAX})
    left = list(healthy)
    for endpoint_id in left:
        await start_draining(session, endpoint_id, now=now)
    return len(unwell) + len(left)


async def overdue_recoveries(
    session: AsyncSession, *, before: datetime, most: int = ENDPOINTS_MAX
) -> Sequence[Any]:
    """Endpoints whose recovery should have done something by now."""
    query = (
        select(TALLIES.c.endpoint_id, ENDPOINTS.c.tenant_id)
        .join(ENDPOINTS, ENDPOINTS.c.id == TALLIES.c.endpoint_id)
        .where(TALLIES.c.recovery_due_at < before, TALLIES.c.recovery_due_at.is_not(None))
        .order_by(TALLIES.c.recovery_due_at)
        .limit(most)
    )
    return (await session.execute(query)).all()

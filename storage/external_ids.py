"""Events under ids that their publishers gave: told once, however often they are published."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import EventData
from domain.envelope import EventExists, carries
from storage.outbox import EVENTS, publish
from storage.tables import Event


async def publish_once(
    session: AsyncSession, tenant_id: str, external_id: str, data: EventData, *, now: datetime
) -> tuple[Event, bool]:
    """The event of this id, and whether it was published just now.

    Two who publish it at once: the database lets one of them in, the other runs again and finds it.
    Raises EventExists if it said something else. Once pruned, its id is free again.
    """
    found = await _find(session, tenant_id, external_id)
    if found is not None:
        if found.type != data.event_type or not (found.body is None or carries(found.body, data)):
            raise EventExists(external_id, found.id)
        return found, False
    [event_id] = await publish(session, tenant_id, [(data, None)], now=now)
    await session.execute(
        update(EVENTS).where(EVENTS.c.id == event_id).values(external_id=external_id)
    )
    return await session.get_one(Event, event_id), True


async def _find(session: AsyncSession, tenant_id: str, external_id: str) -> Event | None:
    query = select(Event).where(
        EVENTS.c.tenant_id == tenant_id, EVENTS.c.external_id == external_id
    )
    found: Event | None = await session.scalar(query)
    return found

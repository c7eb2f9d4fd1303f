"""A replay's window: the events in it that may go to an endpoint, and what became of each before.

Read in stretches, so that no look goes over more than so many events, however long the window is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.replay import Candidate, ReplayFilter, wanted_types
from storage.filters import Told, wants
from storage.listing import first_id
from storage.outbox import DELIVERIES, EVENTS
from storage.tables import Endpoint

EXAMINED_MAX = 2_000  # Events that one look goes over: it may hold SQLite's only writer.

COLUMNS = (
    DELIVERIES.c.id,
    EVENTS.c.id.label("event_id"),
    EVENTS.c.tenant_id,
    EVENTS.c.type,
    DELIVERIES.c.state,
    DELIVERIES.c.attempts,
    EVENTS.c.body.is_(None).label("is_expunged"),
)


def in_window(query: Select[Any], endpoint: Endpoint, filter: ReplayFilter) -> Select[Any]:
    """The window's events of the types that go to this endpoint, with what became of each."""
    here = (DELIVERIES.c.event_id == EVENTS.c.id) & (DELIVERIES.c.endpoint_id == endpoint.id)
    return query.select_from(EVENTS.outerjoin(DELIVERIES, here)).where(
        EVENTS.c.tenant_id == endpoint.tenant_id,
        EVENTS.c.id >= first_id("evt", filter.since),
        EVENTS.c.id < first_id("evt", filter.until),
        EVENTS.c.type.in_(wanted_types(endpoint.event_types, filter.event_types)),
    )


async def end_of_reach(
    session: AsyncSession,
    endpoint: Endpoint,
    filter: ReplayFilter,
    *,
    after: str = "",
    most: int | None = None,
) -> str | None:
    """The last event that one look may go up to; None if that is the end of the window."""
    query = (
        select(EVENTS.c.id)
        .where(
            EVENTS.c.tenant_id == endpoint.tenant_id,
            EVENTS.c.id >= first_id("evt", filter.since),
            EVENTS.c.id < first_id("evt", filter.until),
            EVENTS.c.id > after,
        )
        .order_by(EVENTS.c.id)
        .offset((most or EXAMINED_MAX) - 1)
        .limit(1)
    )
    end: str | None = await session.scalar(query)
    return end


@dataclass(frozen=True)
class Reach:
    """A stretch of a window: the events after one, up to another, the first so many of them."""

    after: str
    up_to: str | None
    most: int = EXAMINED_MAX


async def read(
    session: AsyncSession, endpoint: Endpoint, filter: ReplayFilter, reach: Reach
) -> Sequence[Any]:
    columns = COLUMNS if endpoint.payload_filter is None else (*COLUMNS, EVENTS.c.body)
    query = in_window(select(*columns), endpoint, filter).where(EVENTS.c.id > reach.after)
    if reach.up_to is not None:
        query = query.where(EVENTS.c.id <= reach.up_to)
    return list(await session.execute(query.order_by(EVENTS.c.id).limit(reach.most)))


def candidate_of(row: Any, endpoint: Endpoint) -> Candidate:
    expunged = bool(row.is_expunged)
    has_filter = endpoint.payload_filter is not None and not expunged
    return Candidate(
        state=row.state,
        attempts=row.attempts or 0,
        is_wanted=not has_filter or wants(endpoint, Told(row.type, row.body)),
        is_expunged=expunged,
    )

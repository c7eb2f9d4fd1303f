"""Lanes: the endpoints that have something pending, and what of it could go now.

Every query here seeks in an index once per tenant, endpoint or key: none reads the backlog. The
conditions of partial indexes are written out, because a planner cannot see through a parameter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.health import SLOW_MS
from domain.limits import Rate
from domain.ordering import HeadOfLine, parse_head_of_line
from storage.endpoint_tables import EndpointLane
from storage.health import ensure
from storage.outbox import DELIVERIES

LANES: Any = EndpointLane.__table__  # type: ignore[attr-defined]

TENANTS_MAX = 64
KEYS_MAX = 256  # Keys that one look at a lane passes: the next look goes on behind them.
RUN_MAX = 32  # Deliveries of one key that one claim sends, one after the other.
FAR = 1_000_000

LOOK = text(
    f"""
    WITH RECURSIVE waiting(priority, tenant_id, number) AS (
      SELECT start.priority,
             (SELECT min(tenant_id) FROM deliveries WHERE state = 'pending'
              AND priority = start.priority AND tenant_id > :after), 1
      FROM (SELECT 0 AS priority UNION ALL SELECT 1) AS start
      UNION ALL
      SELECT waiting.priority,
             (SELECT min(tenant_id) FROM deliveries WHERE state = 'pending'
              AND priority = waiting.priority AND tenant_id > waiting.tenant_id), number + 1
      FROM waiting WHERE tenant_id IS NOT NULL AND number < :most
    )
    SELECT endpoint.id AS endpoint_id, waiting.tenant_id, waiting.priority,
           endpoint.rate_limit_per_minute, endpoint.max_in_flight, endpoint.head_of_line,
           lane.endpoint_id IS NOT NULL AS has_row,
           COALESCE(tally.latency_ms, 0) > {SLOW_MS} AS is_slow,
           EXISTS (SELECT 1 FROM deliveries WHERE state = 'pending'
                   AND priority = waiting.priority AND tenant_id = waiting.tenant_id
                   AND endpoint_id = endpoint.id AND ordering_key IS NULL) AS has_unkeyed,
           EXISTS (SELECT 1 FROM deliveries WHERE state = 'pending'
                   AND priority = waiting.priority AND tenant_id = waiting.tenant_id
                   AND endpoint_id = endpoint.id AND ordering_key > '') AS has_keyed
    FROM waiting
    LEFT JOIN endpoints AS endpoint
      ON endpoint.tenant_id = waiting.tenant_id AND endpoint.deleted_at IS NULL
         AND endpoint.health NOT IN ('parked', 'disabled')
    LEFT JOIN endpoint_lanes AS lane ON lane.endpoint_id = endpoint.id
    LEFT JOIN endpoint_tallies AS tally ON tally.endpoint_id = endpoint.id
    WHERE waiting.tenant_id IS NOT NULL
    ORDER BY waiting.tenant_id, endpoint.id
    """  # noqa: S608 - a number of ours
)

# For each key its oldest pending delivery, and the oldest one that stands in the way of others.
KEYS = text(
    """
    WITH RECURSIVE line(key, number) AS (
      SELECT (SELECT min(ordering_key) FROM deliveries WHERE state = 'pending'
              AND priority = :priority AND tenant_id = :tenant AND endpoint_id = :endpoint
              AND ordering_key > :after), 1
      UNION ALL
      SELECT (SELECT min(ordering_key) FROM deliveries WHERE state = 'pending'
              AND priority = :priority AND tenant_id = :tenant AND endpoint_id = :endpoint
              AND ordering_key > line.key), number + 1
      FROM line WHERE key IS NOT NULL AND number < :most
    )
    SELECT key,
      (SELECT min(id) FROM deliveries WHERE state = 'pending' AND priority = :priority
       AND tenant_id = :tenant AND endpoint_id = :endpoint AND ordering_key = line.key) AS head,
      EXISTS (SELECT 1 FROM deliveries WHERE endpoint_id = :endpoint AND ordering_key = line.key
              AND state = 'claimed' AND state IN ('claimed','retrying','parked')) AS is_claimed,
      (SELECT min(id) FROM deliveries WHERE endpoint_id = :endpoint AND ordering_key = line.key
       AND state = 'retrying' AND state IN ('claimed','retrying','parked')
       AND attempts < :passes) AS retried,
      (SELECT min(id) FROM deliveries WHERE endpoint_id = :endpoint AND ordering_key = line.key
       AND state = 'parked' AND state IN ('claimed','retrying','parked')
       AND attempts < :passes) AS parked
    FROM line WHERE key IS NOT NULL
    """
)


@dataclass(frozen=True)
class Lane:
    """An endpoint with something pending. Fresh deliveries have a lane, replayed ones another."""

    endpoint_id: str
    tenant_id: str
    priority: int
    max_in_flight: int
    rate: Rate | None
    head_of_line: HeadOfLine
    has_row: bool
    has_unkeyed: bool
    has_keyed: bool


@dataclass(frozen=True)
class Look:
    """What was found, and where the next look begins: behind a full page, else at the start."""

    lanes: tuple[Lane, ...]
    next_after: str


@dataclass
class Turns:
    """Whose turn it is, in one relay's memory: it may be lost."""

    number: int = 0
    keys_after: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Head:
    key: str
    fence: str | None


async def look(session: AsyncSession, after: str, *, slow: bool, most: int = TENANTS_MAX) -> Look:
    """Lanes of the tenants behind `after`. Slow endpoints go apart: nobody waits for them."""
    found = await session.execute(LOOK, {"after": after, "most": most})
    rows = found.mappings().all()
    for_turn = {row["tenant_id"] for row in rows if row["priority"] == 0}
    for_bulk = {row["tenant_id"] for row in rows if row["priority"] == 1}
    full = [max(tenants) for tenants in (for_turn, for_bulk) if len(tenants) == most]
    lanes = (_lane(row) for row in rows if row["endpoint_id"] and bool(row["is_slow"]) is slow)
    return Look(
        tuple(lane for lane in lanes if lane.has_unkeyed or lane.has_keyed),
        next_after=min(full, default=""),
    )


async def lock(session: AsyncSession, lanes: Sequence[Lane]) -> dict[Lane, datetime | None]:
    """Take the lanes that nobody else is claiming from, until the commit; with their rates."""
    missing = sorted({lane.endpoint_id for lane in lanes if not lane.has_row})
    if missing:
        await ensure(session, LANES, missing)
    alone = session.get_bind().dialect.name == "sqlite"
    if alone and not any(lane.rate for lane in lanes):
        return dict.fromkeys(lanes)
    query = (
        select(LANES.c.endpoint_id, LANES.c.sent_until)
        .where(LANES.c.endpoint_id.in_({lane.endpoint_id for lane in lanes}))
        .with_for_update(skip_locked=True)
    )
    taken = {row.endpoint_id: row.sent_until for row in await session.execute(query)}
    return {lane: taken[lane.endpoint_id] for lane in lanes if lane.endpoint_id in taken}


async def take_one(
    session: AsyncSession, endpoint_id: str, rate: Rate, *, now: datetime
) -> timedelta:
    """Use up the rate for one send; if it is used up already, say how long to wait instead."""
    await ensure(session, LANES, [endpoint_id])
    query = select(LANES.c.sent_until).where(LANES.c.endpoint_id == endpoint_id).with_for_update()
    sent_until = await session.scalar(query)
    if not rate.available(sent_until, now):
        return rate.wait(sent_until, now)
    await use_up(session, endpoint_id, rate.after(sent_until, now, 1))
    return timedelta()


async def use_up(session: AsyncSession, endpoint_id: str, until: datetime) -> None:
    await session.execute(
        update(LANES).where(LANES.c.endpoint_id == endpoint_id).values(sent_until=until)
    )


async def in_flight(session: AsyncSession, tenant_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """How many deliveries are claimed: by tenant, then by endpoint."""
    query = (
        select(DELIVERIES.c.tenant_id, DELIVERIES.c.endpoint_id, func.count())
        .where(text("state = 'claimed'"), DELIVERIES.c.tenant_id.in_(sorted(tenant_ids)))
        .group_by(DELIVERIES.c.tenant_id, DELIVERIES.c.endpoint_id)
    )
    flying: dict[str, dict[str, int]] = {}
    for tenant, endpoint, number in await session.execute(query):
        flying.setdefault(tenant, {})[endpoint] = number
    return flying


async def oldest_of(
    session: AsyncSession, wanted: Sequence[tuple[Lane, int]]
) -> dict[Lane, list[str]]:
    """The oldest deliveries without a key, up to so many of each lane: one query for all lanes."""
    if not wanted:
        return {}
    parts: list[str] = []
    values: dict[str, str] = {}
    for number, (lane, most) in enumerate(wanted):
        parts.append(
            f"""SELECT * FROM (SELECT {number} AS lane, id FROM deliveries
            WHERE state = 'pending' AND priority = {int(lane.priority)} AND tenant_id = :t{number}
            AND endpoint_id = :e{number} AND ordering_key IS NULL
            ORDER BY id LIMIT {int(most)}) AS lane{number}"""  # noqa: S608 - numbers of ours
        )
        values |= {f"t{number}": lane.tenant_id, f"e{number}": lane.endpoint_id}
    found: dict[Lane, list[str]] = {}
    for row in await session.execute(text(" UNION ALL ".join(parts)), values):
        found.setdefault(wanted[row.lane][0], []).append(row.id)
    return found


async def chains_of(
    session: AsyncSession, lane: Lane, turns: Turns, most: int
) -> list[tuple[str, ...]]:
    """Runs of deliveries from the heads of keys that nothing stands in the way of.

    The key after which the next look begins is remembered, so that each key has its turn.
    """
    after = turns.keys_after.pop(lane.endpoint_id, "")
    heads, last = await _heads(session, lane, after, most)
    if after and not heads and last is None:
        heads, last = await _heads(session, lane, "", most)
    if last is not None:
        turns.keys_after[lane.endpoint_id] = last
    run = min(RUN_MAX, most // len(heads)) if heads else 0
    return [chain for head in heads if (chain := await _run(session, lane, head, run))]


async def _heads(
    session: AsyncSession, lane: Lane, after: str, most: int
) -> tuple[list[_Head], str | None]:
    """Free keys, and the last key looked at if there are more."""
    passes = lane.head_of_line.attempts_max or FAR
    values = {**_of(lane), "after": after, "most": KEYS_MAX, "passes": passes}
    rows = (await session.execute(KEYS, values)).mappings().all()
    heads: list[_Head] = []
    for row in rows:
        head = _head(row)
        if head is not None:
            heads.append(head)
        if len(heads) == most:
            return heads, row["key"]
    return heads, rows[-1]["key"] if len(rows) == KEYS_MAX else None


def _head(row: RowMapping) -> _Head | None:
    in_the_way = [id for id in (row["retried"], row["parked"]) if id is not None]
    fence = min(in_the_way, default=None)
    if row["is_claimed"] or (fence is not None and fence < row["head"]):
        return None
    return _Head(row["key"], fence)


async def _run(session: AsyncSession, lane: Lane, head: _Head, most: int) -> tuple[str, ...]:
    query = (
        select(DELIVERIES.c.id)
        .where(
            text("state = 'pending'"),
            DELIVERIES.c.priority == lane.priority,
            DELIVERIES.c.tenant_id == lane.tenant_id,
            DELIVERIES.c.endpoint_id == lane.endpoint_id,
            DELIVERIES.c.ordering_key == head.key,
        )
        .order_by(DELIVERIES.c.id)
        .limit(most)
    )
    if head.fence is not None:
        query = query.where(DELIVERIES.c.id < head.fence)
    return tuple((await session.scalars(query)).all())


def _of(lane: Lane) -> dict[str, Any]:
    return {
        "priority": lane.priority,
        "tenant": lane.tenant_id,
        "endpoint": lane.endpoint_id,
    }


def _lane(row: RowMapping) -> Lane:
    per_minute = row["rate_limit_per_minute"]
    return Lane(
        endpoint_id=row["endpoint_id"],
        tenant_id=row["tenant_id"],
        priority=row["priority"],
        max_in_flight=row["max_in_flight"],
        rate=Rate(per_minute) if per_minute else None,
        head_of_line=_head_of_line(row["head_of_line"]),
        has_row=bool(row["has_row"]),
        has_unkeyed=bool(row["has_unkeyed"]),
        has_keyed=bool(row["has_keyed"]),
    )


def _head_of_line(text: str) -> HeadOfLine:
    try:
        return parse_head_of_line(text)
    except ValueError:  # Checked when it was stored; if it is broken all the same, order is kept.
        return HeadOfLine()

"""Claim pending deliveries: fairly, in order, within limits; in batches, never twice, never lost.

A claim is a lease: its id is written on the rows and is the id of the workflow that sends them. If
that workflow could not be started, the same claim is started again under the same id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.batch import Claimed
from domain.ids import new_id
from domain.limits import Waiting, choose, deal, free_places
from storage.among import among
from storage.lanes import Lane, Turns, chains_of, in_flight, lock, oldest_of, use_up
from storage.outbox import DELIVERIES

LANES_MAX = 128
TENANT_IN_FLIGHT_MAX = 1_024
# A lane may turn out to have little, so each is asked for more than its share.
SHARES_ASKED = 2
BULK_PART = 8  # A replay has at least an eighth of a claim, and what fresh deliveries leave.


@dataclass(frozen=True)
class Limits:
    """How much one claim takes, and for how long."""

    size_max: int
    lease: timedelta


@dataclass(frozen=True)
class Taken:
    """What came of a claim. `wait`: something may go once so much time has passed."""

    claimed: Claimed | None = None
    wait: timedelta | None = None
    lanes: tuple[Lane, ...] = ()


@dataclass(frozen=True)
class _Open:
    """A lane that may send, how many, and how far its rate is used up."""

    lane: Lane
    places: int
    sent_until: datetime | None


async def claim(
    session: AsyncSession, lanes: Sequence[Lane], turns: Turns, limits: Limits, *, now: datetime
) -> Taken:
    """Claim the oldest deliveries of the lanes: a fair share of each, none that has to wait."""
    opened, wait = await _open(session, _choose(lanes, turns), limits.size_max, now)
    waiting = await _look_up(session, opened, turns)
    dealt = _deal(waiting, limits.size_max)
    if not dealt:
        return Taken(wait=wait)
    claimed = await _write(session, dealt, until=now + limits.lease)
    for one in opened:
        if one.lane.rate is not None:
            number = sum(id in dealt for chain in waiting[one.lane].chains for id in chain)
            until = one.lane.rate.after(one.sent_until, now, number)
            await use_up(session, one.lane.endpoint_id, until)
    return Taken(claimed, wait, _lanes_of(dealt, waiting))


def _choose(lanes: Sequence[Lane], turns: Turns) -> list[Lane]:
    """An endpoint's replay has its turn when nothing fresh waits for the endpoint."""
    fresh = {lane.endpoint_id for lane in lanes if not lane.priority}
    by_tenant: tuple[dict[str, list[Lane]], ...] = ({}, {})
    for lane in lanes:
        if not lane.priority or lane.endpoint_id not in fresh:
            by_tenant[lane.priority].setdefault(lane.tenant_id, []).append(lane)
    chosen = choose(by_tenant[0], LANES_MAX, turns.number)
    return chosen + choose(by_tenant[1], LANES_MAX // BULK_PART, turns.number)


async def _open(
    session: AsyncSession, lanes: Sequence[Lane], size_max: int, now: datetime
) -> tuple[list[_Open], timedelta | None]:
    """The lanes that may send now, and how soon one that may not may by its rate."""
    sent_until = await lock(session, lanes)
    flying = await in_flight(session, {lane.tenant_id for lane in sent_until})
    share = max(1, -(-SHARES_ASKED * size_max // max(1, len(sent_until))))
    opened: list[_Open] = []
    waits: list[timedelta] = []
    for lane, until in sent_until.items():
        of_tenant = sum(flying.get(lane.tenant_id, {}).values())
        of_endpoint = flying.get(lane.tenant_id, {}).get(lane.endpoint_id, 0)
        places = min(
            share, free_places(lane.max_in_flight, of_endpoint), TENANT_IN_FLIGHT_MAX - of_tenant
        )
        if lane.rate is not None:
            places = min(places, lane.rate.available(until, now))
            waits.append(lane.rate.wait(until, now))
        if places > 0:
            opened.append(_Open(lane, places, until))
    return opened, min((wait for wait in waits if wait), default=None)


async def _look_up(
    session: AsyncSession, opened: Sequence[_Open], turns: Turns
) -> dict[Lane, Waiting]:
    """Which deliveries of each lane could go: those without a key, then the heads of the keys."""
    unkeyed = [(one.lane, one.places) for one in opened if one.lane.has_unkeyed]
    oldest = await oldest_of(session, unkeyed)
    waiting: dict[Lane, Waiting] = {}
    for one in opened:
        chains: list[tuple[str, ...]] = [(id,) for id in oldest.get(one.lane, ())]
        if one.lane.has_keyed and len(chains) < one.places:
            chains += await chains_of(session, one.lane, turns, one.places - len(chains))
        waiting[one.lane] = Waiting(one.lane.tenant_id, one.lane.endpoint_id, tuple(chains))
    return waiting


def _deal(waiting: dict[Lane, Waiting], size_max: int) -> set[str]:
    fresh = deal((found for lane, found in waiting.items() if not lane.priority), size_max)
    places = max(size_max - len(fresh), size_max // BULK_PART)
    return {*fresh, *deal((found for lane, found in waiting.items() if lane.priority), places)}


def _lanes_of(dealt: set[str], waiting: dict[Lane, Waiting]) -> tuple[Lane, ...]:
    return tuple(
        lane
        for lane, found in waiting.items()
        if any(chain and chain[0] in dealt for chain in found.chains)
    )


async def _write(session: AsyncSession, dealt: set[str], *, until: datetime) -> Claimed:
    claim_id = new_id("clm")
    done: Any = await session.execute(
        update(DELIVERIES)
        .where(among(session, DELIVERIES.c.id, dealt), DELIVERIES.c.state == "pending")
        .values(state="claimed", claim_id=claim_id, claimed_until=until)
    )
    return Claimed(claim_id, done.rowcount)


async def release(session: AsyncSession, ids: Sequence[str]) -> None:
    """Give back what was claimed and must wait after all. No attempt was made, none is counted."""
    if ids:
        await session.execute(
            update(DELIVERIES)
            .where(DELIVERIES.c.id.in_(ids), DELIVERIES.c.state == "claimed")
            .values(state="pending", claim_id=None, claimed_until=None)
        )


async def expired_claims(
    session: AsyncSession, *, lease: timedelta, now: datetime, most: int = 32
) -> list[Claimed]:
    """Take over claims whose lease ran out: they are started again under their own id."""
    query = (
        select(DELIVERIES.c.claim_id, func.count().label("size"))
        .where(text("state = 'claimed'"), DELIVERIES.c.claimed_until < now)
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
        select(
            DELIVERIES.c.id,
            DELIVERIES.c.endpoint_id,
            DELIVERIES.c.tenant_id,
            DELIVERIES.c.event_type,
        )
        .where(text("state = 'retrying'"), DELIVERIES.c.next_attempt_at < before)
        .order_by(DELIVERIES.c.next_attempt_at)
        .limit(most)
    )
    return (await session.execute(query)).all()


async def put_off(session: AsyncSession, delivery_id: str, *, until: datetime) -> None:
    """A retry that is due but must wait for its endpoint's rate. No attempt is counted."""
    await session.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id == delivery_id, DELIVERIES.c.state == "retrying")
        .values(next_attempt_at=until)
    )

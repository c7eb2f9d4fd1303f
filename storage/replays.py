"""Replay jobs: a window of events, put in line for one endpoint again, batch by batch.

The job's row is the truth: its state says whether another batch may be queued, its cursor where to
go on. A batch moves the cursor in the transaction that puts its deliveries in line, so a job that
was killed anywhere goes on without sending twice or leaving out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import new_id
from domain.replay import (
    ENDED,
    MISSING,
    PER_SECOND,
    Candidate,
    Choice,
    NothingToReplay,
    ReplayFilter,
    ReplayState,
    ReplayStateConflict,
    ReplayUnderWay,
    WebhookDisabled,
    check_pace,
    choose,
)
from storage.lifecycle_tables import ReplayJob
from storage.outbox import (
    DELIVERIES,
    DELIVERIES_ADDED,
    EVENTS,
    WAITING_HEALTH,
    delivery_row,
)
from storage.redelivery import By, note
from storage.replay_window import Reach, candidate_of, end_of_reach, in_window, read
from storage.tables import Endpoint

JOBS: Any = ReplayJob.__table__  # type: ignore[attr-defined]
JOB_ORDER = (JOBS.c.id,)

COUNTED_MAX = (
    100_000  # A count goes no further, as somebody waits for it: then it is a lower bound.
)
COUNTED_BODIES_MAX = 10_000  # The same, where it reads payloads.
TRIGGER = "replay"
AFTER_FRESH = 1  # A claim takes what is fresh, 0, first.


@dataclass(frozen=True)
class ReplayOrder:
    """What somebody asks for. `created_by` is the id of their API key."""

    filter: ReplayFilter
    created_by: str
    per_second: int = PER_SECOND


@dataclass(frozen=True)
class ReplayCount:
    """What a replay would send: `by_state` says what became of these events before."""

    total: int
    is_exact: bool
    by_state: dict[str, int] = field(default_factory=dict)


def jobs_of(tenant_id: str, endpoint_id: str | None = None) -> Select[ReplayJob]:
    query = select(ReplayJob).where(JOBS.c.tenant_id == tenant_id)
    return query if endpoint_id is None else query.where(JOBS.c.endpoint_id == endpoint_id)


async def find_job(session: AsyncSession, job_id: str, tenant_id: str) -> ReplayJob | None:
    job = await session.get(ReplayJob, job_id)
    return job if job is not None and job.tenant_id == tenant_id else None


async def count(session: AsyncSession, endpoint: Endpoint, filter: ReplayFilter) -> ReplayCount:
    """Count what a replay would send now. Writes nothing: this is the dry run.

    Of a very large window it counts the beginning, and says that it is not exact.
    """
    if endpoint.payload_filter is not None:
        return await _count_by_reading(session, endpoint, filter)
    never_sent = (DELIVERIES.c.attempts == 0).label("never_sent")
    expunged = EVENTS.c.body.is_(None).label("is_expunged")
    groups = (DELIVERIES.c.state, never_sent, expunged)
    query = in_window(select(*groups, func.count().label("number")), endpoint, filter)
    end = await end_of_reach(session, endpoint, filter, most=COUNTED_MAX)
    if end is not None:
        query = query.where(EVENTS.c.id <= end)
    found: Counter[str] = Counter()
    for row in await session.execute(query.group_by(*groups)):
        candidate = Candidate(
            state=row.state,
            attempts=int(row.state is not None and not row.never_sent),
            is_wanted=True,
            is_expunged=bool(row.is_expunged),
        )
        if choose(candidate, filter).sends:
            found[row.state or MISSING] += row.number
    return ReplayCount(found.total(), is_exact=end is None, by_state=dict(found))


async def create_job(
    session: AsyncSession,
    endpoint: Endpoint,
    order: ReplayOrder,
    counted: ReplayCount,
    *,
    now: datetime,
) -> ReplayJob:
    """Accept a replay; `runtime.lifecycle.tell_replay` starts it after the commit.

    Raises NothingToReplay, ReplayUnderWay, WebhookDisabled, InvalidReplay.
    """
    check_pace(order.per_second)
    if endpoint.disabled_at is not None:
        raise WebhookDisabled
    under_way = await session.scalar(_open_job(endpoint.id))
    if under_way is not None:
        raise ReplayUnderWay(under_way)
    if not counted.total and counted.is_exact:
        raise NothingToReplay
    filter = order.filter
    job = ReplayJob(
        id=new_id("rpl"),
        tenant_id=endpoint.tenant_id,
        endpoint_id=endpoint.id,
        since=filter.since,
        until=min(filter.until, now),  # What is told from now on arrives by itself.
        event_types=list(filter.event_types),
        states=list(filter.states),
        never_attempted=filter.never_attempted,
        per_second=order.per_second,
        total=counted.total,
        total_is_exact=counted.is_exact,
        created_by=order.created_by,
        created_at=now,
        updated_at=now,
    )
    session.add(job)
    await session.flush()
    return job


async def pause(session: AsyncSession, job: ReplayJob, *, now: datetime) -> ReplayJob:
    """Raises ReplayStateConflict unless it runs."""
    return await _act(session, job, "pause", now=now)


async def resume(session: AsyncSession, job: ReplayJob, *, now: datetime) -> ReplayJob:
    """Raises ReplayStateConflict unless it is paused."""
    return await _act(session, job, "resume", now=now)


async def cancel(
    session: AsyncSession, job: ReplayJob, *, now: datetime, reason: str = "by_owner"
) -> ReplayJob:
    """From its commit on nothing more is put in line. Raises ReplayStateConflict if it ended."""
    return await _act(session, job, "cancel", now=now, reason=reason)


# What each action wants to find, and what it leaves.
ACTIONS: dict[str, tuple[tuple[str, ...], ReplayState]] = {
    "pause": ((ReplayState.RUNNING,), ReplayState.PAUSED),
    "resume": ((ReplayState.PAUSED,), ReplayState.RUNNING),
    "cancel": ((ReplayState.RUNNING, ReplayState.PAUSED), ReplayState.CANCELLED),
}


async def _act(
    session: AsyncSession, job: ReplayJob, action: str, *, now: datetime, reason: str | None = None
) -> ReplayJob:
    await lock(session, job)
    allowed, state = ACTIONS[action]
    if job.state not in allowed:
        raise ReplayStateConflict(job.id, job.state, action)
    job.state, job.reason, job.updated_at = state, reason, now
    job.ended_at = now if state is ReplayState.CANCELLED else None
    await session.flush()
    return job


async def lock(session: AsyncSession, job: ReplayJob) -> None:
    """Until the commit nobody else changes the job; what it says is what is so."""
    await session.refresh(job, with_for_update=True)


async def jobs_to_start(
    session: AsyncSession, *, quiet_since: datetime, most: int = 100
) -> Sequence[ReplayJob]:
    """Running jobs that nobody has moved for a while: their workflow may be missing."""
    query = (
        select(ReplayJob)
        .where(JOBS.c.state == ReplayState.RUNNING, JOBS.c.updated_at < quiet_since)
        .order_by(JOBS.c.updated_at)
        .limit(most)
    )
    return (await session.scalars(query)).all()


async def advance(session: AsyncSession, job: ReplayJob, *, batch: int, now: datetime) -> None:
    """Put one batch in line and move the cursor, in the transaction that locked the job.

    Asked again for a batch that is committed, it changes nothing. A job that may not go on now
    says why in `reason`, and is not moved.
    """
    if job.state in ENDED or batch <= job.batch:
        return
    endpoint = await session.get_one(Endpoint, job.endpoint_id)
    if endpoint.deleted_at is not None:
        await cancel(session, job, now=now, reason="webhook_deleted")
        return
    if job.state == ReplayState.PAUSED:
        return
    job.reason = await _waits_for(session, endpoint, job)
    job.updated_at = now
    if job.reason is None:
        await _queue_batch(session, job, endpoint, now)
        job.batch = batch
    await session.flush()


async def _waits_for(session: AsyncSession, endpoint: Endpoint, job: ReplayJob) -> str | None:
    """A replay adds only to a short line: what it has queued and is not sent yet."""
    if endpoint.health in WAITING_HEALTH:
        return f"endpoint_{endpoint.health}"
    in_line = select(DELIVERIES.c.id).where(
        text("state = 'pending'"),  # As the index says it, for SQLite to use it.
        DELIVERIES.c.priority == AFTER_FRESH,
        DELIVERIES.c.tenant_id == endpoint.tenant_id,
        DELIVERIES.c.endpoint_id == endpoint.id,
    )
    longest = 2 * job.per_second
    waiting = select(func.count()).select_from(in_line.limit(longest + 1).subquery())
    return "line_is_long" if (await session.scalar(waiting) or 0) > longest else None


async def _queue_batch(
    session: AsyncSession, job: ReplayJob, endpoint: Endpoint, now: datetime
) -> None:
    filter = filter_of(job)
    end = await end_of_reach(session, endpoint, filter, after=job.cursor)
    enough = 2 * job.per_second
    rows = await read(session, endpoint, filter, Reach(job.cursor, end, most=enough))
    chosen: list[tuple[Any, Choice]] = []
    for row in rows:
        if sum(choice.sends for _, choice in chosen) == job.per_second:
            break
        chosen.append((row, choose(candidate_of(row, endpoint), filter)))
    again = [row for row, choice in chosen if choice is Choice.REQUEUE]
    missing = [row for row, choice in chosen if choice is Choice.CREATE]
    await _requeue(session, job, again, now)
    await _create(session, missing, endpoint, now)
    job.examined += len(chosen)
    job.requeued += len(again)
    job.created += len(missing)
    job.skipped += len(chosen) - len(again) - len(missing)
    if len(chosen) < len(rows) or len(rows) == enough:
        job.cursor = chosen[-1][0].event_id
    elif end is not None:
        job.cursor = end
    else:
        job.state, job.ended_at = ReplayState.COMPLETED, now


def filter_of(job: ReplayJob) -> ReplayFilter:
    return ReplayFilter(
        since=job.since,
        until=job.until,
        event_types=tuple(job.event_types),
        states=tuple(job.states),
        never_attempted=job.never_attempted,
    )


def _open_job(endpoint_id: str) -> Select[Any]:
    open_states = (ReplayState.RUNNING, ReplayState.PAUSED)
    return select(JOBS.c.id).where(JOBS.c.endpoint_id == endpoint_id, JOBS.c.state.in_(open_states))


async def _count_by_reading(
    session: AsyncSession, endpoint: Endpoint, filter: ReplayFilter
) -> ReplayCount:
    found: Counter[str] = Counter()
    number, after = 0, ""
    while number < COUNTED_BODIES_MAX:
        end = await end_of_reach(session, endpoint, filter, after=after)
        rows = await read(session, endpoint, filter, Reach(after, end))
        found.update(
            row.state or MISSING
            for row in rows
            if choose(candidate_of(row, endpoint), filter).sends
        )
        if end is None:
            return ReplayCount(found.total(), is_exact=True, by_state=dict(found))
        number, after = number + len(rows), end
    return ReplayCount(found.total(), is_exact=False, by_state=dict(found))


async def _requeue(
    session: AsyncSession, job: ReplayJob, rows: Sequence[Any], now: datetime
) -> None:
    if not rows:
        return
    await session.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id.in_([row.id for row in rows]))
        .values(
            state="pending",
            reason=TRIGGER,
            trigger=TRIGGER,
            priority=AFTER_FRESH,
            attempts_before=DELIVERIES.c.attempts,  # It has the whole retry schedule again.
            ordering_key=None,  # It had its place in line, and has lost it.
            hold=None,
            claim_id=None,
            claimed_until=None,
            next_attempt_at=None,
            settled_at=None,
        )
    )
    await note(session, rows, "pending", By(job.created_by, f"replayed by {job.id}"), now=now)
    session.info[DELIVERIES_ADDED] = True


async def _create(
    session: AsyncSession, rows: Sequence[Any], endpoint: Endpoint, now: datetime
) -> None:
    if not rows:
        return
    again = {"trigger": TRIGGER, "reason": TRIGGER, "priority": AFTER_FRESH, "ordering_key": None}
    deliveries = [
        delivery_row(
            {"id": row.event_id, "tenant_id": row.tenant_id, "type": row.type}, endpoint, now
        )
        | again
        for row in rows
    ]
    await session.execute(insert(DELIVERIES), deliveries)
    session.info[DELIVERIES_ADDED] = True

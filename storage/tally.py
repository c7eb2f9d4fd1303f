"""Endpoints' tallies as rows: locked, counted on, written; and what follows from them.

This is where the breaker opens: in the transaction of the attempt that opens it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.health import Health, Tally, probe_delay, warning_due
from storage.endpoint_news import tell_disabled, tell_recovered, tell_warning
from storage.health import disable, ensure, park_pending, start_draining
from storage.outbox import ENDPOINTS
from storage.redelivery import TALLIES

FAILING_FOR_TOO_LONG = "failing_for_5_days"


@dataclass(frozen=True)
class Counting:
    """An endpoint's tally and health while a group of attempts is counted."""

    endpoint_id: str
    tenant_id: str
    was: Health
    health: Health
    tally: Tally
    recovery_round: int
    warned_percent: int
    head_of_line: str
    schedule: tuple[timedelta, ...] = ()
    disabled_because: str | None = None
    probed: tuple[bool, ...] = ()


async def lock_tallies(session: AsyncSession, endpoint_ids: Iterable[str]) -> dict[str, Counting]:
    """Lock and read them. Made on first use."""
    wanted = sorted(set(endpoint_ids))
    query = (
        select(TALLIES)
        .where(TALLIES.c.endpoint_id.in_(wanted))
        .order_by(TALLIES.c.endpoint_id)
        .with_for_update()
    )
    rows = {row.endpoint_id: row for row in await session.execute(query)}
    missing = [id for id in wanted if id not in rows]
    if missing:
        await ensure(session, TALLIES, missing)
        rows = {row.endpoint_id: row for row in await session.execute(query)}
    # Read after the lock: in a join the other table would be as it was before the wait for it.
    columns = (
        ENDPOINTS.c.id,
        ENDPOINTS.c.tenant_id,
        ENDPOINTS.c.health,
        ENDPOINTS.c.head_of_line,
    )
    endpoints = await session.execute(select(*columns).where(ENDPOINTS.c.id.in_(wanted)))
    return {endpoint.id: _counting(endpoint, rows[endpoint.id]) for endpoint in endpoints}


def _counting(endpoint: Any, row: Any) -> Counting:
    health = Health(endpoint.health)
    return Counting(
        endpoint_id=endpoint.id,
        tenant_id=endpoint.tenant_id,
        was=health,
        health=health,
        tally=Tally(
            minutes=tuple(
                (minute, attempts, failures) for minute, attempts, failures in row.minutes
            ),
            failures_in_a_row=row.failures_in_a_row,
            failed_deliveries=tuple(row.failed_deliveries),
            failing_since=row.failing_since,
            warned_percent=row.warned_percent,
            latency_ms=row.latency_ms,
        ),
        recovery_round=row.recovery_round,
        warned_percent=row.warned_percent,
        head_of_line=endpoint.head_of_line,
    )


WRITE = (
    update(TALLIES)
    .where(TALLIES.c.endpoint_id == bindparam("of_endpoint"))
    .values(
        minutes=bindparam("new_minutes"),
        failures_in_a_row=bindparam("new_failures_in_a_row"),
        failed_deliveries=bindparam("new_failed_deliveries"),
        failing_since=bindparam("new_failing_since"),
        warned_percent=bindparam("new_warned_percent"),
        latency_ms=bindparam("new_latency_ms"),
    )
)


async def write_tallies(
    session: AsyncSession, countings: Iterable[Counting], *, now: datetime
) -> tuple[Counting, ...]:
    """Write what was counted and do what follows. Returns those that are parked since now."""
    counted = list(countings)
    await session.execute(WRITE, [_values(counting, counting.tally) for counting in counted])
    for counting in counted:
        await _follow(session, counting, now)
    return tuple(
        counting
        for counting in counted
        if counting.health is Health.PARKED and counting.was is not Health.PARKED
    )


async def _follow(session: AsyncSession, counting: Counting, now: datetime) -> None:
    """What a change of health, a probe or a warning brings about."""
    if counting.disabled_because is not None:
        await _disable(session, counting, counting.disabled_because, now)
    elif counting.was is Health.PARKED and any(counting.probed):
        await _recover(session, counting, now)
    elif counting.tally.failures_in_a_row and await _warn(session, counting, now):
        return
    elif counting.health is Health.PARKED:
        await _stay_parked(session, counting, now)
    elif counting.health is not counting.was:
        await _set_health(session, counting, now)


async def _recover(session: AsyncSession, counting: Counting, now: datetime) -> None:
    """The first success: the breaker closes, and what is parked follows."""
    await start_draining(session, counting.endpoint_id, now=now)
    await _tell_recovered(session, counting, now)


async def _warn(session: AsyncSession, counting: Counting, now: datetime) -> bool:
    """Warn if it is time to. Returns whether that was the last warning, and the endpoint is out."""
    percent = warning_due(counting.tally, now)
    if percent is None:
        return False
    tally = replace(counting.tally, warned_percent=percent)
    await session.execute(WRITE, [_values(counting, tally)])
    await tell_warning(session, counting.tenant_id, counting.endpoint_id, tally, now=now)
    if percent < 100:
        return False
    await _disable(session, counting, FAILING_FOR_TOO_LONG, now)
    return True


async def _disable(session: AsyncSession, counting: Counting, reason: str, now: datetime) -> None:
    if counting.was is Health.DISABLED:
        return
    await disable(session, counting.endpoint_id, reason, now=now)
    await tell_disabled(session, counting.tenant_id, counting.endpoint_id, reason, now=now)


async def _stay_parked(session: AsyncSession, counting: Counting, now: datetime) -> None:
    """Park what is pending, and say when to probe: the first time, and after each failed probe."""
    opened = counting.was is not Health.PARKED
    if opened:
        await _set_health(session, counting, now)
        await park_pending(session, counting.endpoint_id, reason="endpoint_parked")
    elif not counting.probed:
        return
    failed = 0 if opened else counting.recovery_round + 1
    delay = probe_delay(failed, counting.schedule, counting.tally, now)
    await session.execute(
        update(TALLIES)
        .where(TALLIES.c.endpoint_id == counting.endpoint_id)
        .values(recovery_round=failed, recovery_due_at=now + delay, probe_first=None)
    )


async def _set_health(session: AsyncSession, counting: Counting, now: datetime) -> None:
    await session.execute(
        update(ENDPOINTS)
        .where(ENDPOINTS.c.id == counting.endpoint_id)
        .values(health=counting.health, failing_since=counting.tally.failing_since, updated_at=now)
    )
    if counting.health is Health.HEALTHY:
        await _tell_recovered(session, counting, now)


async def _tell_recovered(session: AsyncSession, counting: Counting, now: datetime) -> None:
    if counting.warned_percent:
        await tell_recovered(session, counting.tenant_id, counting.endpoint_id, now=now)


def _values(counting: Counting, tally: Tally) -> dict[str, Any]:
    return {
        "of_endpoint": counting.endpoint_id,
        "new_minutes": [list(minute) for minute in tally.minutes],
        "new_failures_in_a_row": tally.failures_in_a_row,
        "new_failed_deliveries": list(tally.failed_deliveries),
        "new_failing_since": tally.failing_since,
        "new_warned_percent": tally.warned_percent,
        "new_latency_ms": tally.latency_ms,
    }

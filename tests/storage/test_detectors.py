"""Detectors tell of what they see once: per window, per lockout, whoever looks."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import col

from domain.api_keys import new_key
from domain.quota import Quota
from runtime.database import Database
from runtime.limiter import Limit, Limiter
from storage.keys import NewKey, make_key
from storage.lockouts import LockoutRule, note_failure
from storage.quotas import WarnedKey
from storage.tables import Event
from tests.conftest import TENANT

KEY = WarnedKey(TENANT, "key_1", "sp_live")
MINUTE = timedelta(minutes=1)


class Clock:
    """Time as the test lets it pass."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


async def told(database: Database, event_type: str, tenant_id: str = TENANT) -> int:
    query = select(func.count()).where(
        col(Event.type) == event_type, col(Event.tenant_id) == tenant_id
    )
    async with database.read() as session:
        return await session.scalar(query) or 0


async def test_a_limit_that_is_nearly_used_up_is_told_of_once_in_each_window(
    database: Database,
) -> None:
    clock = Clock()
    processes = [Limiter(database, now=clock.now, clock=clock.monotonic) for _ in range(2)]
    limit = Limit("key-minute", "key_1", Quota(10, MINUTE))

    async def ask_ten_times() -> None:
        for number in range(10):
            await processes[number % 2].ask([limit], KEY)
            clock.seconds += 0.1

    await ask_ten_times()
    assert await told(database, "system.rate_limit_warning") == 1

    clock.seconds += 20  # Still the same window, and there is something to take again.
    await processes[0].ask([limit], KEY)
    assert await told(database, "system.rate_limit_warning") == 1

    clock.seconds += 120
    await ask_ten_times()
    assert await told(database, "system.rate_limit_warning") == 2


async def test_half_of_a_limit_is_no_news(database: Database) -> None:
    clock = Clock()
    limiter = Limiter(database, now=clock.now, clock=clock.monotonic)
    limit = Limit("key-minute", "key_1", Quota(10, MINUTE))
    for _ in range(5):
        await limiter.ask([limit], KEY)

    assert await told(database, "system.rate_limit_warning") == 0


async def test_guesses_at_a_key_are_told_to_its_owner_once_for_each_lockout(
    database: Database,
) -> None:
    clock = Clock()
    rule = LockoutRule(failures_max=5, lasts=MINUTE)
    key = await database.transact(
        lambda session: make_key(session, new_key(), NewKey(TENANT, "guessed", ("read",)))
    )

    async def guess(times: int) -> None:
        for _ in range(times):
            await database.transact(
                lambda session: note_failure(session, "192.0.2.7", key.id, rule, now=clock.now())
            )

    await guess(4)
    assert await told(database, "system.security_alert") == 0
    await asyncio.gather(*(guess(1) for _ in range(6)))
    assert await told(database, "system.security_alert") == 1

    clock.seconds += 61
    await guess(5)
    assert await told(database, "system.security_alert") == 2

"""The rate limiter of one API process: it takes tokens from the shared rows a few at a time.

Not every request writes: a process takes a hundredth of a quota and spends that. What it did not
spend in two seconds it gives back when it next takes some. Once a quota is used up nobody asks the
database again before there is something to take.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.quota import Quota
from runtime.database import Database
from storage import quotas
from storage.quotas import Taken, Wanted, WarnedKey
from storage.types import utc_now

LEASE_S = 2.0
# Asking for single tokens as they come in would be a transaction for each.
ASKED_AGAIN_AFTER = timedelta(milliseconds=50)
REMEMBERED_MAX = 10_000


@dataclass(frozen=True)
class Limit:
    """One quota of one key or tenant. `kind` names it to clients."""

    kind: str
    owner: str
    quota: Quota

    @property
    def subject(self) -> str:
        return f"{self.kind}:{self.owner}"


@dataclass(frozen=True)
class Standing:
    """Where one limit stands after a request."""

    limit: Limit
    remaining: int
    full_in: timedelta


@dataclass(frozen=True)
class Verdict:
    """`wait` is None if the request may go on. The tightest limit is the first of `standings`."""

    standings: tuple[Standing, ...]
    wait: timedelta | None = None


@dataclass
class _Purse:
    """What this process holds of one quota."""

    tokens: int = 0
    full_at: datetime | None = None
    good_until: float = 0.0
    empty_until: float = 0.0


class Limiter:
    """Make one per process."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._now = now
        self._clock = clock
        self._purses: dict[str, _Purse] = {}
        self._taking = asyncio.Lock()
        self._waiting = 0

    async def ask(self, limits: Sequence[Limit], key: WarnedKey) -> Verdict:
        """Spend one token of each limit, or none of any."""
        # While one quota is asked for, what is held of another may go stale.
        while self._lacking(limits):
            if self._is_known_to_be_empty(limits):
                return self._verdict(limits, is_refused=True)
            await self._refill(limits, key)
        for limit in limits:
            self._purse(limit).tokens -= 1
        return self._verdict(limits, is_refused=False)

    async def _refill(self, limits: Sequence[Limit], key: WarnedKey) -> None:
        self._waiting += 1
        try:
            async with self._taking:
                if lacking := self._lacking(limits):  # Another request may have taken some.
                    await self._take(lacking, key)
        finally:
            self._waiting -= 1

    def _purse(self, limit: Limit) -> _Purse:
        if len(self._purses) > REMEMBERED_MAX:
            self._purses.clear()  # Nobody gets more by it: what was held is lost.
        return self._purses.setdefault(limit.subject, _Purse())

    def _lacking(self, limits: Sequence[Limit]) -> list[Limit]:
        now = self._clock()
        return [limit for limit in limits if not self._has_token(self._purse(limit), now)]

    def _has_token(self, purse: _Purse, now: float) -> bool:
        return purse.tokens > 0 and now < purse.good_until

    def _is_known_to_be_empty(self, limits: Sequence[Limit]) -> bool:
        now = self._clock()
        purses = (self._purse(limit) for limit in limits)
        return any(purse.tokens <= 0 and now < purse.empty_until for purse in purses)

    async def _take(self, lacking: Sequence[Limit], key: WarnedKey) -> None:
        wanted = [
            Wanted(
                limit.subject,
                limit.quota,
                max(limit.quota.lease, self._waiting),  # Enough for all who wait with this one.
                given_back=self._purse(limit).tokens,
            )
            for limit in lacking
        ]
        now = self._now()

        async def work(session: AsyncSession) -> dict[str, Taken]:
            taken = await quotas.take(session, wanted, now=now)
            for one in wanted:
                if taken[one.subject].crossed:
                    await quotas.warn(session, key, one, taken[one.subject], now=now)
            return taken

        taken = await self._database.transact(work)
        for limit in lacking:
            self._fill(limit, taken[limit.subject], now)

    def _fill(self, limit: Limit, taken: Taken, now: datetime) -> None:
        clock = self._clock()
        wait = max(limit.quota.wait(taken.full_at, now), _pause(limit.quota))
        purse = self._purse(limit)
        purse.tokens = taken.tokens
        purse.full_at = taken.full_at
        purse.good_until = clock + LEASE_S
        purse.empty_until = 0.0 if taken.tokens else clock + wait.total_seconds()

    def _verdict(self, limits: Sequence[Limit], *, is_refused: bool) -> Verdict:
        now = self._now()
        standings = sorted(
            (self._standing(limit, now) for limit in limits),
            key=lambda standing: standing.remaining / standing.limit.quota.limit,
        )
        if not is_refused:
            return Verdict(tuple(standings))
        wait = max(
            limit.quota.wait(self._purse(limit).full_at, now) for limit in self._lacking(limits)
        )
        first = replace(standings[0], remaining=0)
        return Verdict((first, *standings[1:]), wait)

    def _standing(self, limit: Limit, now: datetime) -> Standing:
        purse = self._purse(limit)
        available = limit.quota.available(purse.full_at, now) + purse.tokens
        full_in = max((purse.full_at or now) - now, timedelta())
        return Standing(limit, max(0, min(available, limit.quota.limit)), full_in)


def _pause(quota: Quota) -> timedelta:
    return min(ASKED_AGAIN_AFTER, quota.lease * quota.interval)

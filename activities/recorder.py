"""Record attempts as they end, many in one transaction: group commit.

Whoever ended an attempt waits until it is on disk. While one group is being committed the next one
gathers, so a busy worker commits large groups and an idle one commits at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from runtime.database import Database
from storage import recording
from storage.recording import Recorded, Recording, Sent
from storage.tally import Counting

GROUP_MAX = 256


class Recorder:
    """One per worker; `record` may be called from any number of tasks."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime],
        when_parked: Callable[[Counting], Awaitable[None]],
    ) -> None:
        self._database = database
        self._now = now
        self._when_parked = when_parked
        self._waiting: list[tuple[Sent, asyncio.Future[Recorded]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def record(self, sent: Sent) -> Recorded:
        """Return once the attempt is committed. Raises what the commit raised."""
        done: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        self._waiting.append((sent, done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_groups())
        return await done

    async def _commit_groups(self) -> None:
        try:
            # What else ends in this turn of the loop joins the first group.
            await asyncio.sleep(0)
            while self._waiting:
                group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
                await self._commit([sent for sent, _ in group], [done for _, done in group])
        finally:
            self._committing = None

    async def _commit(self, group: Sequence[Sent], waiters: list[asyncio.Future[Recorded]]) -> None:
        async def work(session: AsyncSession) -> Recording:
            return await recording.record(session, group, now=self._now())

        try:
            done = await self._database.transact(work)
            for counting in done.parked:
                await self._when_parked(counting)
        except Exception as error:  # Each waiter's activity fails with it and is retried.
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(error)
            return
        self._ring(done)
        for waiter, recorded in zip(waiters, done.recorded, strict=True):
            if not waiter.done():
                waiter.set_result(recorded)

    def _ring(self, done: Recording) -> None:
        """What waits for places may go; what is pending for another pace has another claimer."""
        if done.changed_pace:
            self._database.bell.ring()
        else:
            self._database.bell.ring_for_places()

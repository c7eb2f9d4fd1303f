"""Record attempts as they end, many in one transaction: group commit.

Whoever ended an attempt waits until it is on disk. While one group is being committed the next one
gathers, so a busy worker commits large groups and an idle one commits at once.
"""

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from runtime.database import Database
from storage import attempts
from storage.attempts import Sent
from storage.types import utc_now

GROUP_MAX = 256


class Recorder:
    """One per worker; `record` may be called from any number of tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Sent, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def record(self, sent: Sent) -> None:
        """Return once the attempt is committed. Raises what the commit raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((sent, done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_groups())
        await done

    async def _commit_groups(self) -> None:
        try:
            # What else ends in this turn of the loop joins the first group.
            await asyncio.sleep(0)
            while self._waiting:
                group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
                await self._commit([sent for sent, _ in group], [done for _, done in group])
        finally:
            self._committing = None

    async def _commit(self, group: Sequence[Sent], waiters: list[asyncio.Future[None]]) -> None:
        async def work(session: AsyncSession) -> None:
            await attempts.record(session, group, now=utc_now())

        try:
            await self._database.transact(work)
        except Exception as error:  # Each waiter's activity fails with it and is retried.
            for done in waiters:
                if not done.done():
                    done.set_exception(error)
            return
        for done in waiters:
            if not done.done():
                done.set_result(None)

"""Delete what is past its retention, in transactions so small that nobody waits for them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.ports import RetentionActivities
from domain.retention import Pruned, PruneRequest, Pruning
from runtime.database import Database
from storage import retention, sdks
from storage.retention import PrunedEvents
from storage.types import utc_now

# Between two batches whoever else wants to write has a turn.
REST_S = 0.02


class SqlRetentionActivities(RetentionActivities):
    def __init__(
        self,
        database: Database,
        *,
        keep: timedelta,
        batch_max: int = 200,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._keep = keep
        self._batch_max = batch_max
        self._now = now

    @activity.defn
    async def prune(self, request: PruneRequest) -> Pruned:
        now = self._now()
        match request.what:
            case Pruning.EVENTS:
                rows = await self._prune_events(now - self._keep)
            case Pruning.ANSWERS:
                rows = await self._prune(request.what, retention.prune_answers, now)
            case Pruning.REPLAYS:
                rows = await self._prune(request.what, retention.prune_replays, now - self._keep)
            case Pruning.SDKS:
                rows = await self._prune(request.what, sdks.prune_expired, now)
            case Pruning.ACCESS:
                rows = await self._prune(request.what, retention.prune_access, now)
        activity.logger.info("retention.pruned", extra=rows)
        return Pruned(request.what, rows)

    async def _prune_events(self, before: datetime) -> dict[str, int]:
        found: Counter[str] = Counter()
        after: str | None = ""
        while after is not None:
            batch = await self._one_batch(before, after)
            found.update(events=batch.events, deliveries=batch.deliveries, attempts=batch.attempts)
            after = batch.after
            await self._rest()
        return dict(found)

    async def _one_batch(self, before: datetime, after: str) -> PrunedEvents:
        return await self._database.transact(
            lambda session: retention.prune_events(
                session, before=before, after=after, most=self._batch_max
            )
        )

    async def _prune(
        self, what: str, delete: Callable[..., Awaitable[int]], before: datetime
    ) -> dict[str, int]:
        async def work(session: AsyncSession) -> int:
            return await delete(session, before=before, most=self._batch_max)

        total = 0
        while deleted := await self._database.transact(work):
            total += deleted
            await self._rest()
        return {str(what): total}

    async def _rest(self) -> None:
        activity.heartbeat()
        await asyncio.sleep(REST_S)

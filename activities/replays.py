"""Put replay jobs forward, batch by batch."""

import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.ports import ReplayActivities
from domain.replay import ENDED, ReplayBatch, ReplayProgress, ReplayRequest, ReplayState
from runtime.database import Database
from storage import replays
from storage.lifecycle_tables import ReplayJob
from storage.types import utc_now

# A window may have long stretches with nothing to replay: they are passed over without a history
# event for each, for so long.
PASS_OVER_S = 5.0


class SqlReplayActivities(ReplayActivities):
    def __init__(self, database: Database, *, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now

    @activity.defn
    async def queue_batch(self, batch: ReplayBatch) -> ReplayProgress:
        until = time.monotonic() + PASS_OVER_S
        number = batch.number
        while True:
            progress, moved = await self._advance(batch.job_id, number)
            found_nothing = progress.state is ReplayState.RUNNING and not progress.queued
            if not (moved and found_nothing) or time.monotonic() > until:
                break
            activity.heartbeat()
            number += 1
        activity.logger.info(
            "replay.batch",
            extra={
                "job": batch.job_id,
                "batch": progress.batch,
                "queued": progress.queued,
                "sent": progress.sent,
                "total": progress.total,
                "state": progress.state,
                "waits_for": progress.waits_for,
            },
        )
        return progress

    @activity.defn
    async def cancel_replay(self, request: ReplayRequest) -> ReplayProgress:
        async def work(session: AsyncSession) -> ReplayProgress:
            job = await session.get_one(ReplayJob, request.job_id)
            await replays.lock(session, job)
            if job.state not in ENDED:
                await replays.cancel(session, job, now=self._now(), reason="by_operator")
            return _progress(job, queued=0)

        return await self._database.transact(work)

    async def _advance(self, job_id: str, number: int) -> tuple[ReplayProgress, bool]:
        """Where the job stands now, and whether it moved."""

        async def work(session: AsyncSession) -> tuple[ReplayProgress, bool]:
            job = await session.get_one(ReplayJob, job_id, with_for_update=True)
            batch, sent = job.batch, job.requeued + job.created
            await replays.advance(session, job, batch=number, now=self._now())
            queued = job.requeued + job.created - sent
            return _progress(job, queued=queued), job.batch > batch

        return await self._database.transact(work)


def _progress(job: ReplayJob, *, queued: int) -> ReplayProgress:
    return ReplayProgress(
        state=ReplayState(job.state),
        batch=job.batch,
        queued=queued,
        total=job.total,
        requeued=job.requeued,
        created=job.created,
        skipped=job.skipped,
        per_second=job.per_second,
        waits_for=job.reason,
    )

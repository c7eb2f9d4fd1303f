"""Upkeep: what must be there is there, whoever died before they could start it.

Makes the retention schedule when the worker starts, and from then on tells the engine of replays
and rotations that nobody moves although their rows say that they are under way.
"""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError

from runtime.database import Database
from runtime.lifecycle import tell_replay, tell_rotation
from runtime.settings import Settings
from runtime.temporal import DELIVERY_QUEUE
from storage import replays, secrets
from storage.types import utc_now
from workflows.prune import Prune

RETENTION_SCHEDULE = "retention"
LOOK_EVERY = timedelta(seconds=30)
# A job that waits looks again every 5 minutes at the latest.
QUIET = timedelta(minutes=6)
OVERDUE = timedelta(minutes=1)

logger = logging.getLogger("sagapost.upkeep")


class Upkeep:
    """One per worker; any number of workers may do the same at once."""

    def __init__(self, database: Database, temporal: Client, settings: Settings) -> None:
        self._database = database
        self._temporal = temporal
        self._settings = settings

    async def run(self) -> None:
        """Run until cancelled. An outage of the database or the engine only makes it wait."""
        has_schedule = False
        while True:
            try:
                if not has_schedule:
                    await ensure_retention_schedule(self._temporal, self._settings)
                    has_schedule = True
                await self.look()
            except (SQLAlchemyError, OSError, RPCError):
                logger.exception("upkeep.failed")
            await asyncio.sleep(LOOK_EVERY.total_seconds())

    async def look(self) -> None:
        """Tell the engine of what should be moving and is not. Telling it twice is harmless."""
        now = utc_now()
        async with self._database.read() as session:
            jobs = await replays.jobs_to_start(session, quiet_since=now - QUIET)
            rotations = await secrets.rotations_to_tell(session, due_before=now - OVERDUE)
        for job in jobs:
            logger.warning("upkeep.replay_is_quiet", extra={"job": job.id})
            await tell_replay(self._temporal, job)
        for rotation in rotations:
            logger.warning("upkeep.rotation_is_due", extra={"rotation": rotation.id})
            await tell_rotation(self._temporal, rotation)


async def ensure_retention_schedule(temporal: Client, settings: Settings) -> None:
    """Make the schedule, or bring the one that is there up to date; paused, it stays paused."""
    wanted = _schedule(settings.prune_interval)
    try:
        await temporal.create_schedule(RETENTION_SCHEDULE, wanted)
    except ScheduleAlreadyRunningError:

        def update(found: ScheduleUpdateInput) -> ScheduleUpdate:
            schedule = found.description.schedule
            schedule.spec, schedule.action = wanted.spec, wanted.action
            return ScheduleUpdate(schedule)

        await temporal.get_schedule_handle(RETENTION_SCHEDULE).update(update)


def _schedule(every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            Prune.run,
            id="prune",
            task_queue=DELIVERY_QUEUE,
            static_summary="delete what is past its retention",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)], jitter=every / 10),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)
        ),
    )

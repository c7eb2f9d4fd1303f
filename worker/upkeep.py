"""Upkeep: what must be there is there, whoever died before they could start it.

Makes the schedules when the worker starts, and from then on tells the engine of replays
and rotations that nobody moves although their rows say that they are under way, and of API keys
whose end nobody was warned of.
"""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.database import Database
from runtime.key_expiry import watch_expiry
from runtime.lifecycle import tell_replay, tell_rotation
from runtime.settings import Settings
from storage import key_expiry, replays, secrets
from storage.types import utc_now
from worker.schedules import ensure_schedules

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
        has_schedules = False
        while True:
            try:
                if not has_schedules:
                    await ensure_schedules(self._temporal, self._settings)
                    has_schedules = True
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
            keys = await key_expiry.keys_to_warn_of(session, due_before=now - OVERDUE, now=now)
        for job in jobs:
            logger.warning("upkeep.replay_is_quiet", extra={"job": job.id})
            await tell_replay(self._temporal, job)
        for rotation in rotations:
            logger.warning("upkeep.rotation_is_due", extra={"rotation": rotation.id})
            await tell_rotation(self._temporal, rotation)
        for key in keys:
            logger.warning("upkeep.key_is_not_watched", extra={"key": key.id})
            await watch_expiry(self._temporal, key)

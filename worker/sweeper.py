"""The sweeper: starts the sagas that were accepted and that nobody started.

The API commits what it accepts and then tells the engine. If it dies in between, or the engine
does not answer, the row is still `accepted`: some worker finds it here and starts it.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.database import Database
from runtime.starting import start_run
from storage.accepting import BEGINNING, place_of, runs_to_start
from storage.tables import SagaRun
from storage.types import utc_now

SWEEP_EVERY = timedelta(seconds=5)
LEFT_TO_THE_API = timedelta(seconds=5)  # It is most likely just about to start it.
START_WITHIN = timedelta(seconds=3)
AT_ONCE = 16
# How long a run that waits for a free worker is not started again by us.
TRUSTED_FOR = timedelta(minutes=1)

logger = logging.getLogger("sagapost.sweeper")


class Sweeper:
    """One per worker; any number of workers may run side by side: a run is started once."""

    def __init__(self, database: Database, temporal: Client) -> None:
        self._database = database
        self._temporal = temporal
        self._started: set[str] = set()
        self._forget_at = utc_now() + TRUSTED_FOR

    async def run(self) -> None:
        """Sweep until cancelled. An outage of the database or the engine only makes it wait."""
        while True:
            try:
                await self.sweep()
            except SQLAlchemyError:
                logger.exception("sweeper.database_failed")
            await asyncio.sleep(SWEEP_EVERY.total_seconds())

    async def sweep(self, *, older_than: timedelta = LEFT_TO_THE_API) -> int:
        """Start what was accepted before then. Returns how many were started just now."""
        now = utc_now()
        if now > self._forget_at:
            self._started.clear()
            self._forget_at = now + TRUSTED_FOR
        place, started = BEGINNING, 0
        while True:
            async with self._database.read() as session:
                runs = await runs_to_start(session, accepted_before=now - older_than, after=place)
            if not runs:
                return started
            place = place_of(runs[-1])
            unknown = [run for run in runs if run.workflow_id not in self._started]
            succeeded = await self._start_all(unknown)
            started += succeeded
            if unknown and not succeeded:
                return started  # The engine is away: there will be another sweep.

    async def _start_all(self, runs: Sequence[SagaRun]) -> int:
        gate = asyncio.Semaphore(AT_ONCE)

        async def start(run: SagaRun) -> bool:
            async with gate:
                return await self._start(run)

        return sum(await asyncio.gather(*(start(run) for run in runs)))

    async def _start(self, run: SagaRun) -> bool:
        facts = {"workflow_id": run.workflow_id, "accepted_at": run.accepted_at.isoformat()}
        try:
            async with asyncio.timeout(START_WITHIN.total_seconds()):
                await start_run(self._temporal, run)
        except (RPCError, RuntimeError, TimeoutError) as error:
            logger.warning("sweeper.start_failed", extra={**facts, "error": str(error)})
            return False
        self._started.add(run.workflow_id)
        logger.info("sweeper.started", extra=facts)
        return True

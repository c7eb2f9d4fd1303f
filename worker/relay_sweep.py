"""The relay's sweep: finds what nobody is working on any more, and has it worked on.

A crash between a commit and what should have followed it leaves rows that say what is due. Nothing
stays claimed, retrying, parked or pending for ever because somebody died or lost a race.
"""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.database import Database
from runtime.retries import Retried, start_claim, start_or_run_recovery, start_or_run_retry
from storage import claims, stranded
from storage.types import utc_now

SWEEP_EVERY = timedelta(seconds=10)
RETRY_OVERDUE = timedelta(seconds=60)
RECOVERY_OVERDUE = timedelta(seconds=15)

logger = logging.getLogger("sagapost.relay")


class RelaySweep:
    """One per worker; sweeping twice is harmless."""

    def __init__(self, database: Database, temporal: Client, *, lease: timedelta) -> None:
        self._database = database
        self._temporal = temporal
        self._lease = lease

    async def run(self) -> None:
        while True:
            try:
                await self.sweep()
            except (SQLAlchemyError, OSError, RPCError):
                logger.exception("relay.sweep_failed")
            await asyncio.sleep(SWEEP_EVERY.total_seconds())

    async def sweep(self) -> None:
        await self._claims()
        await self._retries()
        await self._stranded()
        await self._recoveries()

    async def _claims(self) -> None:
        """Start again what was claimed, and whose workflow is not there."""
        expired = await self._database.transact(
            lambda session: claims.expired_claims(session, lease=self._lease, now=utc_now())
        )
        for claim in expired:
            logger.warning("relay.claim_expired", extra={"claim": claim.claim_id})
            await start_claim(self._temporal, claim)

    async def _retries(self) -> None:
        """Start again what was to be retried, or run it now: somebody may have paused it."""
        async with self._database.read() as session:
            overdue = await claims.overdue_retries(session, before=utc_now() - RETRY_OVERDUE)
        for row in overdue:
            logger.warning("relay.retry_overdue", extra={"delivery_id": row.id})
            retried = Retried(row.id, row.endpoint_id, row.tenant_id, row.event_type)
            await start_or_run_retry(self._temporal, retried)

    async def _stranded(self) -> None:
        """Rows on the wrong side of a race with their endpoint's health."""
        moved = await self._database.transact(
            lambda session: stranded.put_right(session, now=utc_now())
        )
        if moved:
            logger.info("relay.stranded_put_right", extra={"endpoints": moved})

    async def _recoveries(self) -> None:
        async with self._database.read() as session:
            due = await stranded.overdue_recoveries(session, before=utc_now() - RECOVERY_OVERDUE)
        for row in due:
            logger.warning("relay.recovery_overdue", extra={"endpoint_id": row.endpoint_id})
            await start_or_run_recovery(self._temporal, row.endpoint_id, row.tenant_id)

"""Redeliver, cancel, pause and resume one delivery; recover an endpoint: rows first, then the run.

The row is the truth, and is committed first; then the running workflow is told, so that what was
asked for happens now. Where the engine does not answer, the sweep of the relay tells it later.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.service import RPCError

from domain.control import Nudge
from runtime.database import Database
from runtime.retries import (
    DELIVER,
    Retried,
    pause_activity,
    retry_id,
    run_now,
    start_or_run_recovery,
    start_retry,
    stop,
)
from storage import redelivery
from storage.outbox import DELIVERIES, ENDPOINTS
from storage.redelivery import By, Changed
from storage.types import utc_now

logger = logging.getLogger("sagapost.delivery_control")


class DeliveryControl:
    """Make one per process."""

    def __init__(
        self, database: Database, temporal: Client, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._temporal = temporal
        self._now = now

    async def redeliver(self, delivery_id: str, by: By) -> Changed:
        """Raises DeliveryStateConflict; so do the others."""

        async def work(session: AsyncSession) -> Changed:
            return await redelivery.redeliver(session, delivery_id, by, now=self._now())

        return await self.tell(await self._database.transact(work))

    async def cancel(self, delivery_id: str, by: By) -> Changed:
        async def work(session: AsyncSession) -> Changed:
            return await redelivery.cancel(session, delivery_id, by, now=self._now())

        return await self.tell(await self._database.transact(work))

    async def pause(self, delivery_id: str, by: By) -> Changed:
        async def work(session: AsyncSession) -> Changed:
            return await redelivery.pause(session, delivery_id, by, now=self._now())

        return await self.tell(await self._database.transact(work))

    async def resume(self, delivery_id: str, by: By) -> Changed:
        async def work(session: AsyncSession) -> Changed:
            return await redelivery.resume(session, delivery_id, by, now=self._now())

        return await self.tell(await self._database.transact(work))

    async def tell(self, changed: Changed) -> Changed:
        """Tell the engine what was committed. For whoever ran storage.redelivery by himself."""
        try:
            for nudge in changed.nudges:
                await self._tell(nudge, changed)
        except RPCError as error:  # The sweep of the relay will do it.
            logger.warning(
                "delivery_control.not_told",
                extra={"delivery_id": changed.delivery_id, "error": str(error)},
            )
        return changed

    async def recover(self, endpoint_id: str) -> None:
        """After an endpoint was enabled and something is parked for it. Harmless otherwise."""
        try:
            await self._recover(endpoint_id)
        except RPCError as error:
            logger.warning(
                "delivery_control.not_told", extra={"endpoint_id": endpoint_id, "error": str(error)}
            )

    async def _tell(self, nudge: Nudge, changed: Changed) -> None:
        run = retry_id(changed.delivery_id)
        match nudge:
            case Nudge.CLAIM:
                return  # The bell rang with the commit.
            case Nudge.RETRY_NOW:
                if not await run_now(self._temporal, run, DELIVER):
                    await start_retry(self._temporal, await self._retried(changed.delivery_id))
            case Nudge.PAUSE_RETRY:
                await pause_activity(self._temporal, run, DELIVER)
            case Nudge.STOP_RETRY:
                await stop(self._temporal, run)
            case Nudge.PROBE_NOW:
                await self._recover(changed.endpoint_id)

    async def _recover(self, endpoint_id: str) -> None:
        async with self._database.read() as session:
            tenant_id = await session.scalar(
                select(ENDPOINTS.c.tenant_id).where(ENDPOINTS.c.id == endpoint_id)
            )
        assert tenant_id is not None, f"there is no endpoint {endpoint_id}"
        await start_or_run_recovery(self._temporal, endpoint_id, tenant_id)

    async def _retried(self, delivery_id: str) -> Retried:
        columns = (
            DELIVERIES.c.id,
            DELIVERIES.c.endpoint_id,
            DELIVERIES.c.tenant_id,
            DELIVERIES.c.event_type,
        )
        async with self._database.read() as session:
            query = select(*columns).where(DELIVERIES.c.id == delivery_id)
            row = (await session.execute(query)).one()
        return Retried(row.id, row.endpoint_id, row.tenant_id, row.event_type)

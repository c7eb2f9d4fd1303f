"""The relay: turns pending deliveries into running workflows, in batches, fairly, without loss.

Path of an event, 2 of 6. Before: storage/ledger.py, whose commit left deliveries pending. Next:
workflows/deliver_events.py, one workflow per claim.

An idle relay claims at once what it is woken for. A busy one has only so many claims open, so it
finds more waiting when it comes back: the batch grows with the load, and nothing else does.
"""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from domain.batch import Claimed, RetryRequest
from runtime.database import Database
from runtime.settings import Settings
from runtime.temporal import DELIVERY_QUEUE
from storage import claims
from storage.types import utc_now
from workflows.deliver_events import DeliverEvents
from workflows.retry_delivery import RetryDelivery

OPEN_CLAIMS_MAX = 8
SWEEP_EVERY = timedelta(seconds=5)
RETRY_OVERDUE = timedelta(seconds=60)
AFTER_AN_ERROR_S = 1.0

logger = logging.getLogger("sagapost.relay")


class Relay:
    """One per worker; any number of workers may run side by side."""

    def __init__(self, database: Database, temporal: Client, settings: Settings) -> None:
        self._database = database
        self._temporal = temporal
        self._batch_max = settings.delivery_batch_max
        self._lease = settings.delivery_lease
        self._poll_s = settings.relay_poll_interval.total_seconds()
        self._after = ""
        self._slots = asyncio.Semaphore(OPEN_CLAIMS_MAX)
        self._open: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run until cancelled. An outage of the database or the engine only makes it wait."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claim_for_ever())
            group.create_task(self._sweep_for_ever())

    async def _claim_for_ever(self) -> None:
        while True:
            try:
                await self._slots.acquire()
                claim = await self._claim()
            except SQLAlchemyError:
                self._slots.release()
                logger.exception("relay.claim_failed")
                await asyncio.sleep(AFTER_AN_ERROR_S)
                continue
            if claim is None:
                self._slots.release()
                await self._database.bell.wait(self._poll_s)
                continue
            self._follow(claim)

    async def _claim(self) -> Claimed | None:
        async with self._database.read() as session:
            lanes = await claims.find_lanes(session, self._after)
        if not lanes:
            return None
        claim = await self._database.transact(
            lambda session: claims.claim(
                session, lanes, size_max=self._batch_max, lease=self._lease, now=utc_now()
            )
        )
        self._after = lanes[min(len(lanes), claims.LANES_MAX) - 1] if claim else ""
        return claim

    def _follow(self, claim: Claimed) -> None:
        task = asyncio.create_task(self._deliver(claim))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _deliver(self, claim: Claimed) -> None:
        """Start the claim's workflow and hold its slot until it ends; losing sight of it is fine:
        the claim's lease and the sweep see to it that it is sent."""
        try:
            handle = await self.start(claim)
            await handle.result()
        except (RPCError, WorkflowFailureError) as error:
            logger.warning("relay.lost_sight", extra={"claim": claim.claim_id, "error": str(error)})
            await asyncio.sleep(AFTER_AN_ERROR_S)
        finally:
            self._slots.release()

    async def start(self, claim: Claimed):  # type: ignore[no-untyped-def]  # A generic handle.
        """Already started is success: a claim runs under its own id, once at a time."""
        return await self._temporal.start_workflow(
            DeliverEvents.run,
            claim,
            id=f"claim/{claim.claim_id}",
            task_queue=DELIVERY_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"{claim.size} deliveries",
            request_eager_start=True,
        )

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self._sweep()
            except (SQLAlchemyError, RPCError):
                logger.exception("relay.sweep_failed")
            await asyncio.sleep(SWEEP_EVERY.total_seconds())

    async def _sweep(self) -> None:
        """Start again what was claimed or was to be retried, and whose workflow is not there."""
        now = utc_now()
        expired = await self._database.transact(
            lambda session: claims.expired_claims(session, lease=self._lease, now=now)
        )
        for claim in expired:
            logger.warning("relay.claim_expired", extra={"claim": claim.claim_id})
            await self.start(claim)
        async with self._database.read() as session:
            overdue = await claims.overdue_retries(session, before=now - RETRY_OVERDUE)
        for delivery_id in overdue:
            await self._start_retry(delivery_id)

    async def _start_retry(self, delivery_id: str) -> None:
        await self._temporal.start_workflow(
            RetryDelivery.run,
            RetryRequest(delivery_id),
            id=f"delivery/{delivery_id}",
            task_queue=DELIVERY_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"retry {delivery_id} until it is settled",
        )

"""The relay: turns pending deliveries into running workflows, in batches, fairly, without loss.

Path of an event, 2 of 6. Before: storage/ledger.py, whose commit left deliveries pending. Next:
workflows/deliver_events.py, one workflow per claim.

An idle relay claims at once what it is woken for. A busy one has only so many claims open, so it
finds more waiting when it comes back: the batch grows with the load, and nothing else does. A
receiver that hangs cannot hold a claim's slot: after a second the next claim goes beside it, and
endpoints that are known to be slow are claimed apart, with slots of their own.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from runtime.database import Database
from runtime.retries import start_claim
from runtime.settings import Settings
from storage import claims, lanes
from storage.claims import Limits, Taken
from storage.types import utc_now
from worker.relay_sweep import RelaySweep

QUICK_CLAIMS_MAX = 8
SLOW_CLAIMS_MAX = 8
LINGERING_MAX = 48  # Claims of quick endpoints that turned out slow, beside those in their slots.
SLOT_HELD = timedelta(seconds=1)
LOOKS_MAX = 16
# Something waits for a place or for its turn, maybe in another process: look again soon, but not
# at each place that becomes free.
HELD_BACK_WAIT = timedelta(milliseconds=100)
HELD_BACK_WAIT_MIN = timedelta(milliseconds=10)
AFTER_AN_ERROR_S = 1.0

logger = logging.getLogger("sagapost.relay")


class Relay:
    """One per worker; any number of workers may run side by side."""

    def __init__(self, database: Database, temporal: Client, settings: Settings) -> None:
        self._quick = Claimer(database, temporal, settings, slow=False)
        self._slow = Claimer(database, temporal, settings, slow=True)
        self._sweep = RelaySweep(database, temporal, lease=settings.delivery_lease)

    async def run(self) -> None:
        """Run until cancelled. An outage of the database or the engine only makes it wait."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._quick.run())
            group.create_task(self._slow.run())
            group.create_task(self._sweep.run())


class Claimer:
    """Claims from the quick endpoints, or from the slow ones."""

    def __init__(
        self, database: Database, temporal: Client, settings: Settings, *, slow: bool
    ) -> None:
        self._database = database
        self._temporal = temporal
        self._slow = slow
        self._limits = Limits(settings.delivery_batch_max, settings.delivery_lease)
        self._poll_s = settings.relay_poll_interval.total_seconds()
        self._ear = database.bell.ear()
        self._after = ""
        self._turns = lanes.Turns()
        self._slots = asyncio.Semaphore(SLOW_CLAIMS_MAX if slow else QUICK_CLAIMS_MAX)
        self._lingering = asyncio.Semaphore(LINGERING_MAX)
        self._open: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        while True:
            await self._slots.acquire()
            try:
                taken = await self._take()
            except (SQLAlchemyError, OSError):
                self._slots.release()
                logger.exception("relay.claim_failed")
                await asyncio.sleep(AFTER_AN_ERROR_S)
                continue
            if taken.claimed is None:
                self._slots.release()
                await self._wait(taken)
            else:
                self._follow(taken)

    async def _wait(self, taken: Taken) -> None:
        if taken.wait is None:
            await self._ear.wait(self._poll_s)
        else:
            await asyncio.sleep(HELD_BACK_WAIT_MIN.total_seconds())
            seconds = min(taken.wait.total_seconds(), self._poll_s)
            await self._ear.wait(seconds, for_places=True)

    async def _take(self) -> Taken:
        """Claim from the next tenants that have something that may go; go round once at most."""
        waits: list[timedelta] = []
        for _ in range(LOOKS_MAX):
            taken, began_at = await self._take_from_page(), self._after
            if taken.claimed is not None:
                return taken
            waits += [taken.wait] if taken.wait is not None else []
            if not self._after and not began_at:
                break
        return Taken(wait=min(waits, default=None))

    async def _take_from_page(self) -> Taken:
        most = min(lanes.TENANTS_MAX, self._limits.size_max)
        async with self._database.read() as session:
            look = await lanes.look(session, self._after, slow=self._slow, most=most)
        self._after = look.next_after
        if not look.lanes:
            return Taken()
        self._turns.number += 1
        taken = await self._database.transact(
            lambda session: claims.claim(
                session, look.lanes, self._turns, self._limits, now=utc_now()
            )
        )
        if taken.claimed is None:
            return Taken(wait=min(taken.wait or HELD_BACK_WAIT, HELD_BACK_WAIT))
        return taken

    def _follow(self, taken: Taken) -> None:
        task = asyncio.create_task(self._hold_slot(taken))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _hold_slot(self, taken: Taken) -> None:
        """A slow claim keeps its slot to the end, a quick one for a second at most."""
        delivering = asyncio.create_task(self._deliver(taken))
        try:
            patience = None if self._slow else SLOT_HELD.total_seconds()
            await asyncio.wait((delivering,), timeout=patience)
            if not delivering.done():
                await self._lingering.acquire()
                delivering.add_done_callback(lambda _: self._lingering.release())
        finally:
            self._slots.release()
        await delivering

    async def _deliver(self, taken: Taken) -> None:
        """Start the claim's workflow and see it end; losing sight of it is fine: the claim's lease
        and the sweep see to it that it is sent."""
        assert taken.claimed is not None, "only a claim is delivered"
        try:
            handle = await start_claim(self._temporal, taken.claimed, **_found_by(taken))
            await handle.result()
        except (RPCError, WorkflowFailureError) as error:
            claim_id = taken.claimed.claim_id
            logger.warning("relay.lost_sight", extra={"claim": claim_id, "error": str(error)})
            await asyncio.sleep(AFTER_AN_ERROR_S)


def _found_by(taken: Taken) -> dict[str, Any]:
    """The tenant and the endpoint that the run can be searched by, where it has only one."""
    tenants = {lane.tenant_id for lane in taken.lanes}
    endpoints = {lane.endpoint_id for lane in taken.lanes}
    return {
        "tenant_id": tenants.pop() if len(tenants) == 1 else None,
        "endpoint_id": endpoints.pop() if len(endpoints) == 1 else None,
    }

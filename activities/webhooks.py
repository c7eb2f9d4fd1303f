"""Send claimed deliveries, and those whose retry is due.

Path of an event, 4 of 6. Before: workflows/deliver_events.py. Next: runtime/http.py, the guarded
client; then a delivery that is not settled goes on in workflows/retry_delivery.py.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.addressees import Addressee
from activities.heartbeats import HEARTBEAT_EVERY_S, to_its_end
from activities.ports import WebhookActivities
from activities.sender import Sender, Withheld
from domain.batch import Claimed, ClaimSent, RetryRequest
from domain.delivery import SETTLED, Retry, Settle
from domain.last_look import Word
from storage import attempts, claims, health, lanes, redelivery
from storage.recording import Recorded

LEASE = timedelta(seconds=60)
EARLY = timedelta(milliseconds=50)  # A timer that fires this much too soon is on time.
AT_ONCE = timedelta(milliseconds=1)
WAITING_HEALTH = ("parked", "disabled")
CROWD = 8


class HttpWebhookActivities(WebhookActivities):
    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._database = sender.database

    @activity.defn
    async def send_claimed(self, claim: Claimed) -> ClaimSent:
        async with self._database.read() as session:
            rows = await attempts.load_claim(session, claim.claim_id)
            endpoint_ids = sorted({row.endpoint_id for row in rows})
            addressees = await self._sender.addresses.look_up(session, endpoint_ids)
        sending = _Sending(self._sender, addressees)
        keeping = asyncio.create_task(self._keep(claim))
        try:
            await sending.send(rows)
        finally:
            keeping.cancel()
        return ClaimSent(**sending.ended)

    @activity.defn
    async def attempt_delivery(self, request: RetryRequest) -> str:
        return await to_its_end(self._attempt(request))

    async def _attempt(self, request: RetryRequest) -> str:
        async with self._database.read() as session:
            row = await attempts.load_delivery(session, request.delivery_id)
            if row is None or row.state != "retrying":
                return "gone" if row is None else str(row.state)
            addressees = await self._sender.addresses.look_up(session, [row.endpoint_id])
        addressee = addressees[row.endpoint_id]
        if addressee.health in WAITING_HEALTH:
            await _park(self._sender, [row], addressee)
            return "parked"
        if (wait := row.next_attempt_at - self._sender.now()) > EARLY:
            raise again(wait, "the delivery is not due yet")
        if wait := await self._wait_for_rate(row.id, addressee):
            raise again(wait, "the endpoint's rate limit is used up")
        recorded = await self._sender.send(row, addressee)
        if isinstance(recorded, Withheld):
            return await self._withheld(row, recorded)
        if isinstance(recorded.decision, Retry):
            why = f"attempt {recorded.number}: {recorded.decision.reason}"
            raise again(recorded.decision.delay, why)
        return recorded.decision.reason

    async def _withheld(self, row: Any, withheld: Withheld) -> str:
        """The state that ends its run, as if it had been found so before."""
        if withheld.word is not Word.PARK:
            return str(withheld.state)
        await _park(self._sender, [row], withheld.addressee)
        return "parked"

    async def _wait_for_rate(self, delivery_id: str, addressee: Addressee) -> timedelta:
        """A retry goes against the endpoint's rate, too; while that is used up it only waits."""
        rate, now = addressee.rate, self._sender.now()
        if rate is None:
            return timedelta()

        async def work(session: AsyncSession) -> timedelta:
            wait = await lanes.take_one(session, addressee.endpoint_id, rate, now=now)
            if wait:  # Not all who wait come back at once.
                wait += rate.interval * self._sender.chance() * CROWD
                await claims.put_off(session, delivery_id, until=now + wait)
            return wait

        return await self._database.transact(work)

    async def _keep(self, claim: Claimed) -> None:
        """Heartbeat, and keep the claim's lease: a slow receiver must not look like a crash."""
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT_EVERY_S)
            until = self._sender.now() + LEASE
            await self._database.transact(
                lambda session: claims.extend(session, [claim.claim_id], until=until)  # noqa: B023
            )


class _Sending:
    """One run of `send_claimed`: what it sends, and how each ended."""

    def __init__(self, sender: Sender, addressees: dict[str, Addressee]) -> None:
        self._sender = sender
        self._addressees = addressees
        self.ended: dict[str, int] = dict.fromkeys(
            ("succeeded", "settled", "retrying", "parked"), 0
        )

    async def send(self, rows: Sequence[Any]) -> None:
        """All at once, but each chain in its order."""
        async with asyncio.TaskGroup() as group:
            for chain in _chains(rows):
                addressee = self._addressees[chain[0].endpoint_id]
                group.create_task(self._send_chain(chain, addressee))

    async def _send_chain(self, chain: Sequence[Any], addressee: Addressee) -> None:
        """Send until one holds up those behind it: they go back into line, unharmed."""
        if addressee.health in WAITING_HEALTH:
            await _park(self._sender, [row for row in chain if row.state == "claimed"], addressee)
            return
        for position, row in enumerate(chain):
            if not await self._send_one(row, addressee):
                await self._release(chain[position + 1 :])
                return

    async def _send_one(self, row: Any, addressee: Addressee) -> bool:
        """Returns whether the next of the chain may go."""
        if row.state == "retrying":  # Recorded by a run of this activity that then died.
            await self._hand_on(row)
            return addressee.head_of_line.lets_pass(row.attempts)
        recorded = await self._sender.send(row, addressee)
        if isinstance(recorded, Withheld):
            return await self._withhold(row, recorded)
        self._count(recorded)
        if isinstance(recorded.decision, Retry):
            await self._hand_on(row)
            return addressee.head_of_line.lets_pass(recorded.number)
        return isinstance(recorded.decision, Settle)

    async def _withhold(self, row: Any, withheld: Withheld) -> bool:
        """It is not to be sent, or not now. Returns whether the next of the chain may go."""
        match withheld.word:
            case Word.PARK:
                await _park(self._sender, [row], withheld.addressee)
            case Word.PAUSE:
                await self._sender.database.transact(
                    lambda session: redelivery.pause_claimed(session, row, now=self._sender.now())
                )
            case _:
                return withheld.state in SETTLED
        self.ended["parked"] += 1
        return False

    async def _hand_on(self, row: Any) -> None:
        self.ended["retrying"] += 1
        await self._sender.retry_later(row)

    def _count(self, recorded: Recorded) -> None:
        match recorded.decision:
            case Settle(state, _):
                self.ended["succeeded" if state == "succeeded" else "settled"] += 1
            case Retry():
                pass
            case _:
                self.ended["parked"] += 1

    async def _release(self, rows: Sequence[Any]) -> None:
        ids = [row.id for row in rows if row.state == "claimed"]
        if ids:
            await self._sender.database.transact(lambda session: claims.release(session, ids))


def _chains(rows: Sequence[Any]) -> list[list[Any]]:
    """Deliveries with the same key one after the other; each endpoint's first ones first."""
    chains: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        chains[row.endpoint_id, row.ordering_key or row.id].append(row)
    ranks: defaultdict[str, int] = defaultdict(int)
    ranked: list[tuple[int, list[Any]]] = []
    for (endpoint_id, _), chain in chains.items():
        ranked.append((ranks[endpoint_id], chain))
        ranks[endpoint_id] += 1
    return [chain for _, chain in sorted(ranked, key=lambda pair: pair[0])]


async def _park(sender: Sender, rows: Sequence[Any], addressee: Addressee) -> None:
    await sender.database.transact(
        lambda session: health.park(session, rows, addressee.health, now=sender.now())
    )


def again(delay: timedelta, why: str) -> ApplicationError:
    """Not an error of ours: the server keeps the timer and runs the activity again.

    A delay of zero would be none of ours, and the retry policy's would stand in for it.
    """
    return ApplicationError(
        why,
        type="delivery_retry",
        next_retry_delay=max(delay, AT_ONCE),
        category=ApplicationErrorCategory.BENIGN,
    )

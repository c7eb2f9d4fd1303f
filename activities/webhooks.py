"""Sign and POST deliveries, and record what came of each attempt.

Path of an event, 4 of 6. Before: workflows/deliver_events.py. Next: runtime/http.py, the guarded
client; then a delivery that is not settled goes on in workflows/retry_delivery.py.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from runtime.http import WebhookClient
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.addressees import AddressBook, Addressee
from activities.ports import WebhookActivities
from activities.recorder import Recorder
from domain.batch import Claimed, ClaimSent, RetryRequest
from domain.delivery import AttemptOutcome, Retry, decide
from domain.signing import signature_headers
from runtime.database import Database
from storage import attempts, claims
from storage.attempts import Sent
from storage.types import utc_now

USER_AGENT = "Sagapost-Webhook/1"
HEARTBEAT_EVERY_S = 3.0
LEASE = timedelta(seconds=30)
EARLY = timedelta(milliseconds=50)  # A timer that fires this much too soon is on time.
SETTLED = frozenset({"succeeded", "dead_lettered", "cancelled"})


class HttpWebhookActivities(WebhookActivities):
    def __init__(
        self,
        database: Database,
        http: WebhookClient,
        addresses: AddressBook,
        *,
        jitter: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311 - no secret
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._http = http
        self._addresses = addresses
        self._recorder = Recorder(database)
        self._jitter = jitter
        self._now = now

    @activity.defn
    async def send_claimed(self, claim: Claimed) -> ClaimSent:
        async with self._database.read() as session:
            rows = await attempts.load_claim(session, claim.claim_id)
            addressees = await self._addresses.look_up(session, _endpoints_of(rows))
        keeping = asyncio.create_task(self._keep(claim))
        try:
            sent = await self._send_all([row for row in rows if row.state == "claimed"], addressees)
        finally:
            keeping.cancel()
        if rows:
            await self._touch(_endpoints_of(rows))
        handed_on = [row.id for row in rows if row.state == "retrying"]
        to_retry = [one.delivery_id for one in sent if isinstance(one.decision, Retry)]
        succeeded = sum(one.outcome.succeeded for one in sent)
        return ClaimSent(
            succeeded=succeeded,
            settled=len(sent) - len(to_retry),
            to_retry=(*handed_on, *to_retry),
        )

    @activity.defn
    async def attempt_delivery(self, request: RetryRequest) -> str:
        async with self._database.read() as session:
            row = await attempts.load_delivery(session, request.delivery_id)
            addressees = await self._addresses.look_up(session, [row.endpoint_id])
        if row.state != "retrying":
            return str(row.state)
        wait = row.next_attempt_at - self._now()
        if wait > EARLY:
            raise _again(wait, "the delivery is not due yet")
        beating = asyncio.create_task(_beat())
        try:
            sent = await self._attempt(row, addressees[row.endpoint_id])
        finally:
            beating.cancel()
        await self._touch([row.endpoint_id])
        if isinstance(sent.decision, Retry):
            raise _again(sent.decision.delay, f"attempt {sent.number}: {sent.decision.reason}")
        return sent.decision.reason

    async def _send_all(self, rows: Sequence[Any], addressees: dict[str, Addressee]) -> list[Sent]:
        """POST concurrently, to each endpoint only as many at once as it allows."""
        gates = {
            endpoint_id: asyncio.Semaphore(addressee.max_in_flight)
            for endpoint_id, addressee in addressees.items()
        }

        async def send(row: Any) -> Sent:
            async with gates[row.endpoint_id]:
                return await self._attempt(row, addressees[row.endpoint_id])

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(send(row)) for row in rows]
        return [task.result() for task in tasks]

    async def _attempt(self, row: Any, addressee: Addressee) -> Sent:
        sent_at = self._now()
        number = row.attempts + 1
        outcome = await self._post(row, addressee, sent_at)
        sent = Sent(
            delivery_id=row.id,
            endpoint_id=row.endpoint_id,
            from_state=row.state,
            number=number,
            trigger=row.trigger,
            sent_at=sent_at,
            outcome=outcome,
            decision=decide(
                outcome,
                attempt_number=number,
                policy=addressee.policy,
                jitter=self._jitter(),
            ),
        )
        await self._recorder.record(sent)
        # The one line operators grep: every attempt, whatever happened, all facts in it.
        activity.logger.info(
            "delivery.attempted",
            extra={
                "delivery_id": row.id,
                "event_id": row.event_id,
                "event_type": row.event_type,
                "endpoint_id": row.endpoint_id,
                "attempt_number": number,
                "outcome": outcome.reason,
                "decision": type(sent.decision).__name__,
                "reason": sent.decision.reason,
                "duration_ms": outcome.duration_ms,
            },
        )
        return sent

    async def _post(self, row: Any, addressee: Addressee, sent_at: datetime) -> AttemptOutcome:
        headers = {
            **addressee.headers,
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "X-Webhook-ID": row.endpoint_id,
            "X-Webhook-Event": row.event_type,
            "X-Webhook-Delivery": row.id,
            **signature_headers(
                addressee.keys,
                event_id=row.event_id,
                sent_at=sent_at,
                body=row.body,
                scheme=addressee.scheme,
            ),
        }
        body: bytes = row.body
        return await self._http.post(
            addressee.url, headers=headers, body=body, deadline=addressee.deadline
        )

    async def _keep(self, claim: Claimed) -> None:
        """Heartbeat, and keep the claim's lease: a slow receiver must not look like a crash."""
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT_EVERY_S)
            until = self._now() + LEASE
            await self._database.transact(
                lambda session: claims.extend(session, [claim.claim_id], until=until)  # noqa: B023
            )

    async def _touch(self, endpoint_ids: Sequence[str]) -> None:
        await self._database.transact(
            lambda session: attempts.touch(session, endpoint_ids, now=self._now())
        )


async def _beat() -> None:
    """A worker that dies is missed after the heartbeat timeout, not after the whole exchange's."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT_EVERY_S)


def _endpoints_of(rows: Sequence[Any]) -> list[str]:
    return sorted({row.endpoint_id for row in rows})


def _again(delay: timedelta, why: str) -> ApplicationError:
    """Not an error of ours: the server keeps the timer and runs the activity again."""
    return ApplicationError(
        why,
        type="delivery_retry",
        next_retry_delay=delay,
        category=ApplicationErrorCategory.BENIGN,
    )

"""Send one delivery once: pass the gates, sign, POST, decide, record.

Claims, retries and probes all send through here, so that all of them share an endpoint's places.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from activities.addressees import AddressBook, Addressee
from activities.gates import Gates
from activities.last_looks import LastLooks
from activities.recorder import Recorder
from domain.delivery import AttemptOutcome, DeliveryState, decide
from domain.last_look import Word, last_word
from domain.signing import signature_headers
from domain.trace_context import traceparent
from runtime.database import Database
from runtime.http import WebhookClient
from runtime.retries import Retried, start_recovery, start_retry
from storage.recording import Recorded, Sent
from storage.tally import Counting
from storage.types import utc_now

USER_AGENT = "Sagapost-Webhook/1"
TENANT_EXCHANGES_MAX = 250  # A quarter of what one process sends at once.
STARTED_AT_ONCE = 16
logger = logging.getLogger("sagapost.deliveries")


@dataclass(frozen=True)
class Clock:
    """Time and chance, which tests make their own. `jitter` lies between -1 and 1."""

    now: Callable[[], datetime] = utc_now
    jitter: Callable[[], float] = lambda: random.uniform(-1, 1)  # noqa: S311 - no secret


@dataclass(frozen=True)
class Withheld:
    """Not sent after all: no attempt was made, and none is counted.

    `state` is the delivery's by now, `addressee` its endpoint as it is now.
    """

    word: Word
    state: DeliveryState
    addressee: Addressee


class Sender:
    """One per process."""

    def __init__(
        self,
        database: Database,
        http: WebhookClient,
        addresses: AddressBook,
        temporal: Client,
        *,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or Clock()
        self.database = database
        self.addresses = addresses
        self.now = clock.now
        self._http = http
        self._temporal = temporal
        self._jitter = clock.jitter
        self._gates = Gates(TENANT_EXCHANGES_MAX)
        self._looks = LastLooks(database, addresses)
        self._recorder = Recorder(database, now=clock.now, when_parked=self._recover)
        self._starting = asyncio.Semaphore(STARTED_AT_ONCE)

    def chance(self) -> float:
        """From 0 to 1."""
        return (self._jitter() + 1) / 2

    async def send(
        self, row: Any, addressee: Addressee, *, is_probe: bool = False
    ) -> Recorded | Withheld:
        """POST once and record it, if it still may be sent. Only our own failures raise."""
        async with self._gates.place(row.tenant_id, row.endpoint_id, addressee.max_in_flight):
            looked = await self._looks.look(row, addressee)
            if looked is not None:
                addressee = looked.addressee
                word = last_word(DeliveryState(row.state), looked.found, is_probe=is_probe)
                if word is not Word.SEND:
                    return Withheld(word, looked.found.state, addressee)
            sent_at = self.now()
            outcome = await self._post(row, addressee, sent_at)
        decision = decide(
            outcome,
            attempt_number=row.attempts - row.attempts_before + 1,
            policy=addressee.policy_for(row.event_type),
            jitter=self._jitter(),
        )
        trigger = "probe" if is_probe and row.trigger == "schedule" else row.trigger
        recorded = await self._recorder.record(
            Sent(
                row.id,
                row.endpoint_id,
                trigger,
                sent_at,
                outcome,
                decision,
                addressee.policy.retry_schedule,
                is_probe,
            )
        )
        _log(row, outcome, recorded)
        return recorded

    async def retry_later(self, row: Any) -> None:
        """Give a delivery the workflow that retries it. Already started is success."""
        retried = Retried(row.id, row.endpoint_id, row.tenant_id, row.event_type)
        async with self._starting:
            await start_retry(self._temporal, retried)

    async def _recover(self, counting: Counting) -> None:
        """The breaker has opened: one workflow probes from now on."""
        logger.warning("endpoint.parked", extra={"endpoint_id": counting.endpoint_id})
        try:
            await start_recovery(self._temporal, counting.endpoint_id, counting.tenant_id)
        except RPCError as error:  # The sweep of the relay will.
            logger.warning("endpoint.recovery_not_started", extra={"error": str(error)})

    async def _post(self, row: Any, addressee: Addressee, sent_at: datetime) -> AttemptOutcome:
        headers = {
            **addressee.headers,
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "X-Webhook-ID": row.endpoint_id,
            "X-Webhook-Event": row.event_type,
            "X-Webhook-Delivery": row.id,
            "traceparent": traceparent(row.workflow_id or row.event_id, row.id, row.attempts + 1),
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


def _log(row: Any, outcome: AttemptOutcome, recorded: Recorded) -> None:
    """The line operators grep. What was delivered at once is told only to who wants all."""
    at_once = recorded.number == 1 and outcome.succeeded
    level = logging.DEBUG if at_once else logging.INFO
    if not logger.isEnabledFor(level):
        return
    logger.log(
        level,
        "delivery.attempted",
        extra={
            "delivery_id": row.id,
            "event_id": row.event_id,
            "event_type": row.event_type,
            "endpoint_id": row.endpoint_id,
            "attempt_number": recorded.number,
            "outcome": outcome.reason,
            "decision": type(recorded.decision).__name__,
            "reason": recorded.decision.reason,
            "duration_ms": outcome.duration_ms,
        },
    )

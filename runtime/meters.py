"""Figures of one API process for Prometheus, and of the whole installation as its tables tell them.

What counts rows counts only what an index has together: what is not settled, and the last hour.
"""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from sqlalchemy.ext.asyncio import AsyncSession

from runtime.database import Database
from storage.totals import Totals, totals
from storage.types import utc_now

READ_EVERY_S = 5.0
LAST = timedelta(hours=1)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass
class Meters:
    """Make one per app."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self._reading = asyncio.Lock()
        self._read_at = 0.0
        self.requests = Histogram(
            "sagapost_request_seconds",
            "Requests by route: how long each took.",
            ("method", "route", "status"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._unsettled = self._gauge("deliveries_unsettled", "On their way now.", "state")
        self._deliveries = self._gauge("deliveries_last_hour", "Made in the last hour.", "state")
        self._attempts = self._gauge("attempts_last_hour", "Of those deliveries.", "outcome")
        self._sagas = self._gauge("sagas_open", "Not ended yet.", "state")
        self._ended = self._gauge("sagas_last_hour", "Accepted in the last hour.", "state")
        self._endpoints = self._gauge("endpoints_unwell", "Not healthy.", "health")
        self._lag = self._gauge("relay_lag_seconds", "Age of the oldest pending delivery.")

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in METHODS else "other"
        self.requests.labels(known, route, f"{status // 100}xx").observe(seconds)

    async def scrape(self, database: Database) -> bytes:
        """The text that Prometheus reads. The tables are asked at most every five seconds."""
        async with self._reading:
            if time.monotonic() - self._read_at > READ_EVERY_S:
                async with database.read() as session:
                    self._show(await _totals(session))
                self._read_at = time.monotonic()
        return generate_latest(self.registry)

    def _show(self, found: Totals) -> None:
        for gauge, numbers in (
            (self._unsettled, found.unsettled),
            (self._deliveries, found.deliveries),
            (self._attempts, found.attempts),
            (self._sagas, found.open_sagas),
            (self._ended, found.sagas),
            (self._endpoints, found.unwell_endpoints),
        ):
            gauge.clear()
            for label, number in numbers.items():
                gauge.labels(label).set(number)
        self._lag.set(found.relay_lag.total_seconds())

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"sagapost_{name}", text, labels, registry=self.registry)


async def _totals(session: AsyncSession) -> Totals:
    return await totals(session, last=LAST, now=utc_now())

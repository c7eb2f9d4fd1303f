"""An endpoint's health, as its attempts tell it: when the breaker opens, and when to give up.

    healthy → failing → parked → recovering → healthy        any → disabled

Pure: storage/tally.py counts and writes, workflows/recover_endpoint.py probes and drains.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

WINDOW_MINUTES: Final = 5
WINDOW_ATTEMPTS_MIN: Final = 10
FAILURES_PERCENT: Final = 70
FAILURES_IN_A_ROW: Final = 10
# While it recovers, sooner: little has been sent that would have to wait again.
RECOVERING_FAILURES_IN_A_ROW: Final = 3
FAILING_AFTER: Final = 3
# One event that a receiver chokes on says nothing about the others, however often it is retried.
DELIVERIES_MIN: Final = 3
DISABLE_AFTER: Final = timedelta(days=5)
WARN_AT_PERCENT: Final = (50, 75, 100)
SLOW_MS: Final = 1_000
DRAIN_FIRST: Final = 16
DRAIN_MAX: Final = 1_000


class Health(StrEnum):
    HEALTHY = "healthy"
    FAILING = "failing"
    PARKED = "parked"
    RECOVERING = "recovering"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Counted:
    """One attempt, as far as it tells of the endpoint. `blames`: a failure that is its fault."""

    delivery_id: str
    at: datetime
    succeeded: bool
    blames: bool
    duration_ms: int


@dataclass(frozen=True)
class Tally:
    """`minutes` holds (minute, attempts, failures) of the window."""

    minutes: tuple[tuple[int, int, int], ...] = ()
    failures_in_a_row: int = 0
    failed_deliveries: tuple[str, ...] = ()
    failing_since: datetime | None = None
    warned_percent: int = 0
    latency_ms: int = 0

    @property
    def is_slow(self) -> bool:
        return self.latency_ms > SLOW_MS


def count(tally: Tally, attempts: Iterable[Counted], *, now: datetime) -> Tally:
    """Count attempts in the order in which they ended."""
    for attempt in attempts:
        tally = _count_one(tally, attempt, _minute(now))
    return tally


def health_after(health: Health, tally: Tally) -> Health:
    """Only a probe's success ends `parked`, and only an empty car park ends `recovering`."""
    if health in (Health.PARKED, Health.DISABLED):
        return health
    if opens(tally, is_recovering=health is Health.RECOVERING):
        return Health.PARKED
    if health is Health.RECOVERING:
        return health
    if tally.failures_in_a_row >= FAILING_AFTER:
        return Health.FAILING
    return health if tally.failures_in_a_row else Health.HEALTHY


def opens(tally: Tally, *, is_recovering: bool = False) -> str | None:
    """Why the breaker opens, if it does."""
    if len(tally.failed_deliveries) < DELIVERIES_MIN:
        return None
    in_a_row = RECOVERING_FAILURES_IN_A_ROW if is_recovering else FAILURES_IN_A_ROW
    if tally.failures_in_a_row >= in_a_row:
        return f"{tally.failures_in_a_row} failures in a row"
    attempts = sum(minute[1] for minute in tally.minutes)
    failures = sum(minute[2] for minute in tally.minutes)
    if attempts >= WINDOW_ATTEMPTS_MIN and 100 * failures >= FAILURES_PERCENT * attempts:
        return f"{failures} of {attempts} attempts failed within {WINDOW_MINUTES} minutes"
    return None


def warning_due(tally: Tally, now: datetime) -> int | None:
    """The warning to give now: 50, 75 or, when the endpoint is to be disabled, 100 percent."""
    if tally.failing_since is None or len(tally.failed_deliveries) < DELIVERIES_MIN:
        return None
    share = 100 * (now - tally.failing_since) / DISABLE_AFTER
    due = [percent for percent in WARN_AT_PERCENT if tally.warned_percent < percent <= share]
    return due[-1] if due else None


def probe_delay(
    probes_failed: int, schedule: tuple[timedelta, ...], tally: Tally, now: datetime
) -> timedelta:
    """How long to wait before the next probe: as the retry schedule says, its last delay for ever,
    but no longer than until the next warning is due."""
    delays = schedule or (timedelta(minutes=5),)
    delay = delays[min(probes_failed, len(delays) - 1)]
    if tally.failing_since is not None:
        for percent in WARN_AT_PERCENT:
            due_at = tally.failing_since + DISABLE_AFTER * percent / 100
            if percent > tally.warned_percent and due_at > now:
                return min(delay, due_at - now)
    return delay


def drain_size(round_number: int, in_line: int) -> int:
    """How many to let go now: twice as many each time, less what has not been sent yet."""
    size = min(DRAIN_FIRST << min(round_number, 10), DRAIN_MAX)
    return max(0, size - in_line)


def _count_one(tally: Tally, attempt: Counted, minute: int) -> Tally:
    if not attempt.succeeded and not attempt.blames:
        return tally
    minutes = _add(tally.minutes, minute, failures=int(attempt.blames))
    latency_ms = tally.latency_ms + (attempt.duration_ms - tally.latency_ms) // 8
    if attempt.succeeded:
        return Tally(minutes, latency_ms=latency_ms)
    failed = tally.failed_deliveries
    if attempt.delivery_id not in failed and len(failed) < DELIVERIES_MIN:
        failed = (*failed, attempt.delivery_id)
    return replace(
        tally,
        minutes=minutes,
        failures_in_a_row=tally.failures_in_a_row + 1,
        failed_deliveries=failed,
        failing_since=tally.failing_since or attempt.at,
        latency_ms=latency_ms,
    )


def _add(
    minutes: tuple[tuple[int, int, int], ...], minute: int, *, failures: int
) -> tuple[tuple[int, int, int], ...]:
    """A clock that was set back counts into the newest minute there is."""
    if minutes and minutes[-1][0] >= minute:
        newest, attempts, failed = minutes[-1]
        return (*minutes[:-1], (newest, attempts + 1, failed + failures))
    recent = tuple(entry for entry in minutes if entry[0] > minute - WINDOW_MINUTES)
    return (*recent, (minute, 1, failures))


def _minute(now: datetime) -> int:
    return int(now.timestamp()) // 60

"""Delivery rules: what one attempt's outcome means for the delivery and its endpoint.

Pure and total: whatever came back, `decide` has one answer, and the activity only acts on it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final, Literal, TypeAlias

Control: TypeAlias = Literal["disable", "abort"]

# The delays before attempts 2, 3, …: ten attempts in all, the last after 75 h 35 m.
STANDARD_SCHEDULE: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
RETRIES_MAX: Final = 20
RETRY_DELAY_MAX: Final = timedelta(days=7)
RETRY_AFTER_MAX: Final = timedelta(hours=24)
RATE_LIMITED_DELAY_MIN: Final = timedelta(seconds=60)
JITTER_SHARE: Final = 0.2
RESPONSE_BODY_MAX: Final = 16 * 1024

UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
DELAY: Final = re.compile(r"(-?\d{1,9})(ms|[smhd])\Z", re.ASCII)


class DeliveryState(StrEnum):
    PENDING = "pending"
    CLAIMED = "claimed"
    RETRYING = "retrying"
    PARKED = "parked"
    SUCCEEDED = "succeeded"
    DEAD_LETTERED = "dead_lettered"
    CANCELLED = "cancelled"


SETTLED: Final = frozenset(
    {DeliveryState.SUCCEEDED, DeliveryState.DEAD_LETTERED, DeliveryState.CANCELLED}
)


class OutcomeClass(StrEnum):
    """Where one attempt ended. Only `answered` has a status code."""

    ANSWERED = "answered"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"  # Reset or closed before the whole answer had come.
    PROTOCOL = "protocol"  # What came was not HTTP, or its head was too large.
    REFUSED_ADDRESS = "refused_address"  # Our own guard said no; nothing was sent.
    PROXY = "proxy"  # Our forward proxy failed, not the receiver.
    CONGESTED = "congested"  # No connection of ours became free in time.
    UNEXPECTED = "unexpected"  # A bug of ours or of a library; the log has the traceback.


# The breaker must not open because of these.
NOT_THE_RECEIVERS_FAULT: Final = frozenset(
    {OutcomeClass.PROXY, OutcomeClass.CONGESTED, OutcomeClass.UNEXPECTED}
)


@dataclass(frozen=True)
class AttemptOutcome:
    """What came back from one POST. `error` is short: no secret, no resolved address in it."""

    outcome: OutcomeClass
    status_code: int | None = None
    retry_after: timedelta | None = None
    control: Control | None = None
    error: str | None = None
    duration_ms: int = 0
    response_headers: tuple[tuple[str, str], ...] = ()
    response_body: bytes = b""

    @property
    def succeeded(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def counts_against_endpoint(self) -> bool:
        return not self.succeeded and self.outcome not in NOT_THE_RECEIVERS_FAULT

    @property
    def reason(self) -> str:
        """`http_503`, or where the attempt ended: `timeout`."""
        return self.outcome if self.status_code is None else f"http_{self.status_code}"


@dataclass(frozen=True)
class EndpointPolicy:
    """What an endpoint's owner chose, and whether its breaker is open now (`parked`)."""

    retry_schedule: tuple[timedelta, ...] = STANDARD_SCHEDULE
    permanent_codes: frozenset[int] = frozenset()
    parked: bool = False


@dataclass(frozen=True)
class Settle:
    """The delivery is over."""

    state: DeliveryState
    reason: str


@dataclass(frozen=True)
class Retry:
    delay: timedelta
    reason: str


@dataclass(frozen=True)
class Park:
    """The delivery waits, as a row, until its endpoint recovers or is enabled again."""

    reason: str


@dataclass(frozen=True)
class DisableEndpoint:
    """The endpoint is disabled for `reason`, and `delivery` says what becomes of this one."""

    reason: str
    delivery: Settle | Park


Decision: TypeAlias = Settle | Retry | Park | DisableEndpoint


def decide(
    outcome: AttemptOutcome, *, attempt_number: int, policy: EndpointPolicy, jitter: float = 0.0
) -> Decision:
    """Say what happens next. The last scheduled attempt always settles.

    `jitter` lies between -1 and 1 and moves the scheduled delay by up to 20 %.
    """
    assert attempt_number >= 1, "attempts are numbered from 1"
    if outcome.status_code == 410:  # Standard Webhooks: the receiver asked us to stop.
        return DisableEndpoint("gone", _dead_letter("gone"))
    if outcome.control == "disable":
        return DisableEndpoint("disabled_by_receiver", _delivered_or_parked(outcome))
    if outcome.succeeded:
        return _DELIVERED
    dead_letter_reason = _dead_letter_reason(outcome, policy)
    if dead_letter_reason is not None:
        return _dead_letter(dead_letter_reason)
    if policy.parked:  # However often it was probed with: it is not the delivery that fails.
        return Park("endpoint_parked")
    return _next_attempt(outcome, attempt_number, policy, jitter)


def parse_retry_after(text: str, now: datetime) -> timedelta | None:
    """Read a `Retry-After`: seconds or an HTTP date. A past date means at once."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        # More than nine digits would be thirty years and more: whatever it is, the cap holds.
        return timedelta(seconds=int(text)) if len(text) <= 9 else RETRY_AFTER_MAX
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(date - now, timedelta())


def parse_schedule(text: str) -> tuple[timedelta, ...]:
    """Read `"5s,5m,2h"`, the delays before attempts 2, 3, …; the empty text means no retries."""
    if not text.strip():
        return ()
    delays = tuple(_parse_delay(part.strip()) for part in text.split(","))
    if len(delays) > RETRIES_MAX:
        raise ValueError(f"a retry schedule has at most {RETRIES_MAX} delays, not {len(delays)}")
    return delays


def format_schedule(delays: tuple[timedelta, ...]) -> str:
    """The inverse of `parse_schedule`, each delay in the largest unit that divides it."""
    return ",".join(_format_delay(delay) for delay in delays)


_DELIVERED: Final = Settle(DeliveryState.SUCCEEDED, "delivered")


def _next_attempt(
    outcome: AttemptOutcome, attempt_number: int, policy: EndpointPolicy, jitter: float
) -> Settle | Retry:
    if attempt_number > len(policy.retry_schedule):
        return _dead_letter("exhausted")
    scheduled = policy.retry_schedule[attempt_number - 1] * (1 + JITTER_SHARE * jitter)
    return Retry(max(scheduled, _delay_min(outcome)), outcome.reason)


def _dead_letter(reason: str) -> Settle:
    return Settle(DeliveryState.DEAD_LETTERED, reason)


def _delivered_or_parked(outcome: AttemptOutcome) -> Settle | Park:
    return _DELIVERED if outcome.succeeded else Park("disabled_by_receiver")


def _dead_letter_reason(outcome: AttemptOutcome, policy: EndpointPolicy) -> str | None:
    """Why a failed delivery must not be tried again, if so."""
    if outcome.control == "abort":
        return "aborted_by_receiver"
    if outcome.outcome is OutcomeClass.REFUSED_ADDRESS:
        return "refused_address"
    if outcome.status_code in policy.permanent_codes:
        return "permanent_code"
    return None


def _delay_min(outcome: AttemptOutcome) -> timedelta:
    """How long the receiver's answer obliges us to wait."""
    if outcome.status_code not in (429, 503):
        return timedelta()
    if outcome.retry_after is not None:
        return min(outcome.retry_after, RETRY_AFTER_MAX)
    return RATE_LIMITED_DELAY_MIN if outcome.status_code == 429 else timedelta()


def _parse_delay(text: str) -> timedelta:
    match = DELAY.match(text)
    if match is None:
        raise ValueError(f'{text!r} is not a delay: write a whole number and a unit, like "30m"')
    delay = int(match[1]) * UNITS[match[2]]
    if not timedelta() <= delay <= RETRY_DELAY_MAX:
        raise ValueError(f"a retry delay lies between 0s and 7d, not {text}")
    return delay


def _format_delay(delay: timedelta) -> str:
    for unit, length in UNITS.items():
        if delay and not delay % length:
            return f"{delay // length}{unit}"
    return "0s"

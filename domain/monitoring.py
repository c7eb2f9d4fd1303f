"""Monitoring: which postings of an account look like what the law wants to hear of.

Pure: `judge` is given an account's postings in order and says which of the new ones break a rule.
A rule that counts speaks once when its count is reached, not again for every posting after that.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from domain.account import AccountId
from domain.ledger import Direction
from domain.money import Money, minor_to_decimal
from domain.reference_rates import in_usd
from domain.saga import SagaRequest

RuleId = Literal[
    "threshold_10000_usd",
    "velocity_10_per_hour",
    "structuring_below_10000_usd",
    "geography_high_risk",
]
OnViolation = Literal["flag", "freeze"]

# What the bank itself does to an account says nothing about its owner.
NOT_JUDGED: Final = frozenset({"fee", "fee_refund", "reversal", "compensation", "interest"})
USD_MINOR_MAX: Final = 1_000_000
JUST_BELOW_MINOR: Final = 800_000
STRUCTURED_TIMES: Final = 3
STRUCTURED_WITHIN: Final = timedelta(hours=24)
OUTGOING_MAX: Final = 10
OUTGOING_WITHIN: Final = timedelta(hours=1)
LOOK_BACK: Final = max(STRUCTURED_WITHIN, OUTGOING_WITHIN)
# FATF, high-risk jurisdictions subject to a call for action.
HIGH_RISK: Final = frozenset({"IR", "KP", "MM"})
SEVERE: Final = frozenset({"high", "critical"})


@dataclass(frozen=True, kw_only=True)
class MonitoringRequest(SagaRequest):
    """Judge what nobody has judged yet: of one account, or of all that moved in a period.

    `freeze` freezes accounts whose violations are severe; `flag` only tells of them.
    """

    account_uuid: AccountId | None = None
    moved_since: AwareDatetime | None = None
    moved_until: AwareDatetime | None = None
    on_violation: OnViolation = "flag"


@dataclass(frozen=True, kw_only=True)
class WatchRequest(SagaRequest):
    """Look every `every_s` seconds for what nobody has judged yet, and have it judged.

    Until it is cancelled, or for so many `rounds`. The last two are its own memory.
    """

    every_s: Annotated[float, Field(ge=0.1, le=3_600)] = 5.0
    on_violation: OnViolation = "flag"
    rounds: Annotated[int, Field(ge=1)] | None = None
    rounds_done: Annotated[int, Field(ge=0)] = 0
    looked_at: AwareDatetime | None = None


@dataclass(frozen=True)
class Unjudged:
    """What a look came to: whether there is something to judge, and when that was so."""

    found: bool
    looked_at: datetime


@dataclass(frozen=True)
class Posted:
    """A posting on an account. `countries` are those of the accounts on its other side."""

    version: int
    entry_id: str
    kind: str
    direction: Direction
    money: Money
    recorded_at: datetime
    countries: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Finding:
    """A posting that breaks a rule. The values are amounts where there is an asset, else counts."""

    rule: RuleId
    version: int
    entry_id: str
    current_value: str
    threshold: str
    asset_code: str | None


@dataclass(frozen=True)
class Rule:
    """How bad it is to break it, and the search for where it is broken."""

    type: Literal["velocity", "threshold", "pattern", "geography"]
    severity: Literal["low", "medium", "high", "critical"]
    search: Callable[[Sequence[Posted]], Iterable[Finding]]


@dataclass(frozen=True)
class Case:
    """An account whose severe violations are looked into together."""

    account_id: str
    case_id: str


@dataclass(frozen=True)
class Judged:
    """What came of judging some accounts. `more` says that there are others."""

    violations: int = 0
    severe: tuple[Case, ...] = ()
    more: bool = False


@dataclass(frozen=True)
class ViolationReport:
    """What to tell of: what this run found and has not told, and which accounts it froze."""

    monitoring: MonitoringRequest
    frozen: tuple[str, ...] = field(default=())


def judge(rule: RuleId, postings: Sequence[Posted], *, judged: int) -> list[Finding]:
    """What breaks the rule among those after version `judged`; those before it are its past."""
    seen = [one for one in postings if one.kind not in NOT_JUDGED]
    return [finding for finding in RULES[rule].search(seen) if finding.version > judged]


def _over_threshold(postings: Sequence[Posted]) -> Iterable[Finding]:
    for one in postings:
        if (minor := _usd_minor(one)) >= USD_MINOR_MAX:
            yield _in_usd("threshold_10000_usd", one, minor)


def _structured(postings: Sequence[Posted]) -> Iterable[Finding]:
    """Several amounts just below that, in one direction, within a day."""
    for direction in Direction:
        below = [one for one in postings if one.direction is direction and _is_just_below(one)]
        for one, near in _windows(below, STRUCTURED_WITHIN):
            if len(near) == STRUCTURED_TIMES:
                total = sum(_usd_minor(other) for other in near)
                yield _in_usd("structuring_below_10000_usd", one, total)


def _too_often(postings: Sequence[Posted]) -> Iterable[Finding]:
    outgoing = [one for one in postings if one.direction is Direction.DEBIT]
    for one, near in _windows(outgoing, OUTGOING_WITHIN):
        if len(near) == OUTGOING_MAX + 1:
            values = (str(len(near)), str(OUTGOING_MAX), None)
            yield Finding("velocity_10_per_hour", one.version, one.entry_id, *values)


def _windows(
    postings: Iterable[Posted], within: timedelta
) -> Iterable[tuple[Posted, deque[Posted]]]:
    """Each posting with those that came no longer than `within` before it, and itself."""
    near: deque[Posted] = deque()
    for one in postings:
        near.append(one)
        while one.recorded_at - near[0].recorded_at >= within:
            near.popleft()
        yield one, near


def _usd_minor(one: Posted) -> int:
    """0 where nobody knows what the asset is worth."""
    worth = in_usd(one.money)
    return worth.amount_minor if worth is not None else 0


def _is_just_below(one: Posted) -> bool:
    return JUST_BELOW_MINOR <= _usd_minor(one) < USD_MINOR_MAX


def _high_risk(postings: Sequence[Posted]) -> Iterable[Finding]:
    for one in postings:
        if one.countries & HIGH_RISK:
            place = (one.version, one.entry_id)
            nothing = Money(0, one.money.asset_code)
            values = (one.money.decimal, nothing.decimal, one.money.asset_code)
            yield Finding("geography_high_risk", *place, *values)


def _in_usd(rule: RuleId, one: Posted, usd_minor: int) -> Finding:
    value, threshold = minor_to_decimal(usd_minor, "USD"), minor_to_decimal(USD_MINOR_MAX, "USD")
    return Finding(rule, one.version, one.entry_id, value, threshold, "USD")


RULES: Final[dict[RuleId, Rule]] = {
    "threshold_10000_usd": Rule("threshold", "high", _over_threshold),
    "velocity_10_per_hour": Rule("velocity", "medium", _too_often),
    "structuring_below_10000_usd": Rule("pattern", "high", _structured),
    "geography_high_risk": Rule("geography", "critical", _high_risk),
}

"""The travel rule: from which amount on a transfer must tell who sends and who receives it.

Pure: the saga travel_rule_check looks the facts up, `decide` says what they mean.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.account import AccountId, AssetCode
from domain.money import AmountText, Money, parse_amount
from domain.reference_rates import in_usd
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults

Jurisdiction = Literal["US", "EU", "UK", "SG"]
Side = Literal["originator", "beneficiary"]

VALID_FOR: Final = timedelta(hours=24)
ALWAYS: Final = ("name", "account_number")


@dataclass(frozen=True)
class Rule:
    """A jurisdiction's threshold, and what is required of both sides from there on."""

    threshold: Money
    required: tuple[str, ...]


RULES: Final[dict[Jurisdiction, Rule]] = {
    "US": Rule(Money(300_000, "USD"), (*ALWAYS, "address")),
    "EU": Rule(Money(100_000, "EUR"), (*ALWAYS, "address", "document_id")),
    "UK": Rule(Money(100_000, "GBP"), (*ALWAYS, "address")),
    "SG": Rule(Money(150_000, "SGD"), (*ALWAYS, "address", "document_id")),
}
JURISDICTION_OF_ASSET: Final[dict[str, Jurisdiction]] = {
    "EUR": "EU",
    "EURC": "EU",
    "GBP": "UK",
    "SGD": "SG",
}


@dataclass(frozen=True, kw_only=True)
class TravelRuleRequest(SagaRequest):
    """Check a transfer against the travel rule; `id` is the check's own.

    Who the parties are is looked up. `sandbox` tells the sandbox of the `sanctions` lists how to
    behave, or of one side's: `sanctions_originator`, `sanctions_beneficiary`.
    """

    transfer_uuid: Annotated[str, Field(min_length=1, max_length=64)]
    from_account: AccountId
    to_account: AccountId
    amount: AmountText
    asset_code: AssetCode = "USD"
    jurisdiction: Jurisdiction | None = None
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.money

    @property
    def money(self) -> Money:
        return parse_amount(self.amount, self.asset_code)

    def faults(self, side: Side) -> Faults:
        return self.sandbox.get(f"sanctions_{side}", self.sandbox.get("sanctions", NO_FAULTS))


@dataclass(frozen=True)
class ThresholdFacts:
    """An amount against a jurisdiction's threshold. `usd_minor` None: no rate is known."""

    jurisdiction: Jurisdiction
    threshold: Money
    usd_minor: int | None
    exceeds: bool


@dataclass(frozen=True)
class MissingData:
    """Names of fields that are required of each side and not known: never the fields' contents."""

    originator: tuple[str, ...] = ()
    beneficiary: tuple[str, ...] = ()


@dataclass(frozen=True)
class Screened:
    """What a sanctions provider said of one side."""

    cleared: bool
    provider: str


@dataclass(frozen=True)
class ScreeningRequest:
    """Which side of a check to screen."""

    check: TravelRuleRequest
    side: Side


@dataclass(frozen=True)
class CheckFacts:
    """Everything a decision rests on."""

    check: TravelRuleRequest
    missing: MissingData
    originator: Screened
    beneficiary: Screened


@dataclass(frozen=True)
class Issue:
    code: str
    description: str


@dataclass(frozen=True)
class Verdict:
    """What came of a check. `refusal` is the code that a transfer fails with."""

    risk_level: Literal["low", "medium", "high", "critical"]
    issues: tuple[Issue, ...] = ()
    refusal: str | None = None

    @property
    def is_compliant(self) -> bool:
        return self.refusal is None


def jurisdiction_of(asset_code: str) -> Jurisdiction:
    """Where nobody said it, the asset's home; the bank's own for all others."""
    return JURISDICTION_OF_ASSET.get(asset_code, "US")


def analyse(money: Money, jurisdiction: Jurisdiction | None) -> ThresholdFacts:
    """An amount that equals the threshold exceeds it; so does one whose worth nobody knows."""
    where = jurisdiction or jurisdiction_of(money.asset_code)
    threshold = RULES[where].threshold
    worth, least = in_usd(money), in_usd(threshold)
    assert least is not None, "every threshold is in a currency with a rate"
    exceeds = worth is None or worth.amount_minor >= least.amount_minor
    return ThresholdFacts(where, threshold, worth.amount_minor if worth else None, exceeds)


def missing_fields(facts: ThresholdFacts, known: Iterable[str]) -> tuple[str, ...]:
    required = RULES[facts.jurisdiction].required if facts.exceeds else ALWAYS
    present = set(known)
    return tuple(name for name in required if name not in present)


def decide(facts: CheckFacts, analysis: ThresholdFacts) -> Verdict:
    """Sanctions weigh most, then an amount nobody can tell, then missing data."""
    hits = [
        Issue("sanctions_hit", f"the {side} is on a sanctions list")
        for side, screened in (
            ("originator", facts.originator),
            ("beneficiary", facts.beneficiary),
        )
        if not screened.cleared
    ]
    unknown = [Issue("unknown_currency", f"no rate is known for {facts.check.asset_code}")]
    unknown = unknown if analysis.usd_minor is None else []
    missing = [
        Issue("missing_travel_rule_data", f"the {side}'s {name.replace('_', ' ')} is missing")
        for side, names in (
            ("originator", facts.missing.originator),
            ("beneficiary", facts.missing.beneficiary),
        )
        for name in names
    ]
    issues = (*hits, *unknown, *missing)
    if hits:
        return Verdict("critical", issues, "sanctions_hit")
    if unknown:
        return Verdict("high", issues, "compliance_rejected")
    if missing:
        return Verdict("medium", issues, "missing_travel_rule_data")
    return Verdict("low")

import pytest

from domain.money import EXPONENTS, Money
from domain.reference_rates import USD_RATES
from domain.travel_rule import (
    CheckFacts,
    Jurisdiction,
    MissingData,
    Screened,
    TravelRuleRequest,
    analyse,
    decide,
    missing_fields,
)

CLEAR, HIT = Screened(cleared=True, provider="test"), Screened(cleared=False, provider="test")


@pytest.mark.parametrize(
    ("amount_minor", "asset_code", "jurisdiction", "exceeds"),
    [
        (299_999, "USD", "US", False),
        (300_000, "USD", "US", True),
        (99_999, "EUR", "EU", False),
        (100_000, "EUR", "EU", True),
        (100_000, "GBP", "UK", True),
        (149_999, "SGD", "SG", False),
        (150_000, "SGD", "SG", True),
        (110_000, "USD", "EU", True),  # 1000 EUR are worth 1080 USD.
        (107_900, "USD", "EU", False),
        (3_000_000_000, "USDC", "US", True),
    ],
)
def test_the_threshold_is_the_jurisdictions(
    amount_minor: int, asset_code: str, jurisdiction: Jurisdiction, exceeds: bool
) -> None:
    assert analyse(Money(amount_minor, asset_code), jurisdiction).exceeds is exceeds


@pytest.mark.parametrize(
    ("asset_code", "jurisdiction"), [("USD", "US"), ("EUR", "EU"), ("GBP", "UK"), ("JPY", "US")]
)
def test_without_a_jurisdiction_it_is_the_assets_or_the_banks(
    asset_code: str, jurisdiction: str
) -> None:
    assert analyse(Money(1, asset_code), None).jurisdiction == jurisdiction


@pytest.mark.parametrize(
    ("jurisdiction", "missing"),
    [
        ("US", ("address",)),
        ("EU", ("address", "document_id")),
        ("UK", ("address",)),
        ("SG", ("address", "document_id")),
    ],
)
def test_each_jurisdiction_requires_its_own(
    jurisdiction: Jurisdiction, missing: tuple[str, ...]
) -> None:
    over = analyse(Money(1_000_000, "USD"), jurisdiction)
    under = analyse(Money(100, "USD"), jurisdiction)

    assert missing_fields(over, ["name", "account_number"]) == missing
    assert missing_fields(under, ["name"]) == ("account_number",)


def test_what_nobody_can_price_is_over_the_threshold_and_not_compliant() -> None:
    analysis = analyse(Money(1, "XAU"), "US")

    verdict = decide(facts(), analysis)

    assert (analysis.exceeds, analysis.usd_minor) == (True, None)
    assert (verdict.refusal, verdict.risk_level) == ("compliance_rejected", "high")


def test_sanctions_weigh_more_than_missing_data() -> None:
    found = facts(missing=MissingData(beneficiary=("address",)), beneficiary=HIT)

    verdict = decide(found, analyse(found.check.money, "US"))

    assert (verdict.refusal, verdict.risk_level) == ("sanctions_hit", "critical")
    assert [issue.code for issue in verdict.issues] == ["sanctions_hit", "missing_travel_rule_data"]


def test_every_asset_has_a_rate() -> None:
    assert EXPONENTS.keys() == USD_RATES.keys()


def facts(
    *,
    missing: MissingData = MissingData(),  # noqa: B008 - frozen
    beneficiary: Screened = CLEAR,
) -> CheckFacts:
    check = TravelRuleRequest(
        transfer_uuid="t", from_account="a", to_account="b", amount=500_000, asset_code="USD"
    )
    return CheckFacts(check, missing, CLEAR, beneficiary)

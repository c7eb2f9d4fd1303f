"""Monitoring: which postings break which rule, and that each rule speaks once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.ledger import Direction
from domain.money import parse_amount
from domain.monitoring import RULES, Finding, Posted, RuleId, judge

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
OUT, IN = Direction.DEBIT, Direction.CREDIT


def posted(version: int, money: str = "5.00 USD", **changed: Any) -> Posted:
    amount, _, asset = money.partition(" ")
    facts: dict[str, Any] = {
        "kind": "transfer",
        "direction": IN,
        "money": parse_amount(amount, asset),
        "recorded_at": NOON + version * MINUTE,
    }
    return Posted(version=version, entry_id=f"e{version}", **facts | changed)


def versions(rule: RuleId, *postings: Posted, judged: int = 0) -> list[int]:
    return [finding.version for finding in judge(rule, postings, judged=judged)]


@pytest.mark.parametrize(
    ("money", "breaks"),
    [
        ("9999.99 USD", False),
        ("10000.00 USD", True),
        ("9300.00 EUR", True),
        ("9200.00 EUR", False),
        ("1000000 JPY", False),
        ("0.17 BTC", True),
    ],
)
def test_ten_thousand_dollars_at_once_are_told_of_in_any_asset(money: str, breaks: bool) -> None:
    assert bool(versions("threshold_10000_usd", posted(1, money))) == breaks


def test_the_threshold_is_told_in_dollars() -> None:
    assert judge("threshold_10000_usd", [posted(1, "20000.00 EUR")], judged=0) == [
        Finding("threshold_10000_usd", 1, "e1", "21600.00", "10000.00", "USD")
    ]


def test_what_was_judged_is_only_the_past_of_what_comes() -> None:
    three = [posted(number, "9000.00 USD") for number in (1, 2, 3)]

    assert versions("structuring_below_10000_usd", *three, judged=2) == [3]
    assert versions("structuring_below_10000_usd", *three, judged=3) == []
    assert versions("threshold_10000_usd", posted(1, "10000.00 USD"), judged=1) == []


def test_three_amounts_just_below_the_threshold_are_a_pattern_and_a_fourth_is_no_other() -> None:
    four = [posted(number, "9500.00 USD") for number in (1, 2, 3, 4)]

    [finding] = judge("structuring_below_10000_usd", four, judged=0)

    assert finding == Finding("structuring_below_10000_usd", 3, "e3", "28500.00", "10000.00", "USD")


@pytest.mark.parametrize(
    "changed",
    [
        {"money": parse_amount("7999.99", "USD")},
        {"money": parse_amount("10000.00", "USD")},
        {"direction": OUT},
        {"recorded_at": NOON + 2 * MINUTE - 24 * HOUR},
        {"kind": "reversal"},
    ],
)
def test_what_is_not_part_of_the_pattern_does_not_make_it(changed: dict[str, Any]) -> None:
    pair = [posted(number, "9000.00 USD") for number in (2, 3)]
    odd = posted(1, "9000.00 USD")
    odd = Posted(**{**vars(odd), **changed})

    assert versions("structuring_below_10000_usd", odd, *pair) == []


def test_more_than_ten_outgoing_in_an_hour_are_too_many() -> None:
    eleven = [posted(number, direction=OUT) for number in range(1, 12)]

    assert versions("velocity_10_per_hour", *eleven[:10]) == []
    assert judge("velocity_10_per_hour", eleven, judged=0) == [
        Finding("velocity_10_per_hour", 11, "e11", "11", "10", None)
    ]


def test_a_slow_stream_is_not_too_fast_and_income_is_not_counted() -> None:
    slow = [posted(n, direction=OUT, recorded_at=NOON + n * 6 * MINUTE) for n in range(1, 40)]

    assert versions("velocity_10_per_hour", *slow) == []
    assert versions("velocity_10_per_hour", *[posted(n) for n in range(1, 40)]) == []


def test_a_rule_that_counts_speaks_again_after_a_pause() -> None:
    first = [posted(n, direction=OUT) for n in range(1, 13)]
    later = [posted(n, direction=OUT, recorded_at=NOON + 5 * HOUR) for n in range(13, 24)]

    assert versions("velocity_10_per_hour", *first, *later) == [11, 23]


def test_money_from_or_to_a_country_of_high_risk_is_told_of() -> None:
    postings = [
        posted(1, countries=frozenset({"FR"})),
        posted(2, countries=frozenset({"KP", "DE"})),
        posted(3),
    ]

    [finding] = judge("geography_high_risk", postings, judged=0)

    assert (finding.version, finding.current_value, finding.asset_code) == (2, "5.00", "USD")


def test_fees_and_reversals_are_the_banks_own_doing() -> None:
    for kind in ("fee", "reversal", "compensation"):
        for rule in RULES:
            assert versions(rule, posted(1, "99000.00 USD", kind=kind)) == []

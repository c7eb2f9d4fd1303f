"""What a bridge costs, how much may go over one, and how often it is asked."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.bridge import (
    USUAL_S,
    BridgeQuote,
    BridgeTransferRequest,
    DayUse,
    ask_again_after,
    bridge_fee,
    check_limits,
    check_quote,
)
from domain.errors import LimitExceeded, QuoteExpired
from domain.money import Money

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NONE_TODAY = DayUse(0, 0)


def usdc(units: int) -> Money:
    return Money(units * 1_000_000, "USDC")


@pytest.mark.parametrize(
    ("money", "today"),
    [
        (usdc(100_000), NONE_TODAY),
        (usdc(100_000), DayUse(40_000_000, 4)),
        (usdc(1), DayUse(0, 49)),
        (Money(33 * 10**8, "ETH"), NONE_TODAY),
    ],
)
def test_what_is_within_the_limits(money: Money, today: DayUse) -> None:
    check_limits(money, today)


@pytest.mark.parametrize(
    ("money", "today", "limit"),
    [
        (Money(100_000_010_000, "USDC"), NONE_TODAY, "per_transfer"),
        (Money(34 * 10**8, "ETH"), NONE_TODAY, "per_transfer"),
        (usdc(1), DayUse(50_000_000, 5), "per_day"),
        (usdc(1), DayUse(0, 50), "per_day_count"),
    ],
)
def test_what_is_over_a_limit_says_which(money: Money, today: DayUse, limit: str) -> None:
    with pytest.raises(LimitExceeded) as refused:
        check_limits(money, today)

    assert refused.value.details["limit"] == limit


@pytest.mark.parametrize(
    ("amount_minor", "fee_minor"), [(1_000_000_000, 2_500_000), (1, 1), (400, 1), (401, 2)]
)
def test_a_fee_is_rounded_up_and_never_nothing(amount_minor: int, fee_minor: int) -> None:
    fee = bridge_fee(Money(amount_minor, "USDC"), basis_points=25)

    assert fee == Money(fee_minor, "USDC")


def test_a_quote_is_good_until_the_second_it_expires() -> None:
    quote = BridgeQuote("quote_1", 1, NOW)

    check_quote(quote, NOW - timedelta(microseconds=1))
    with pytest.raises(QuoteExpired):
        check_quote(quote, NOW)


@pytest.mark.parametrize("usual_s", sorted(USUAL_S.values()))
def test_a_bridge_is_asked_soon_at_first_and_not_often_in_all(usual_s: int) -> None:
    usual, waited, asked = timedelta(seconds=usual_s), timedelta(0), 0
    first = ask_again_after(waited, usual)
    while waited < 2 * usual:
        waited += ask_again_after(waited, usual)
        asked += 1

    assert first == timedelta(seconds=1)
    assert asked <= 20


def test_a_window_is_twice_the_usual_time_unless_asked_for() -> None:
    request = BridgeTransferRequest(from_account="a", amount="1.00", protocol="circle_cctp")

    assert request.window == timedelta(seconds=1560)

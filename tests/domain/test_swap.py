"""What comes out of a swap, and what must."""

from decimal import Decimal

import pytest

from domain.errors import SlippageExceeded
from domain.money import Money
from domain.swap import CrossChainSwapRequest, SwapQuote, check_quote, least_output, swap_quote

ALL = Money(600_000_000, "USDC")


def a_swap(min_output_amount: str | None = None) -> CrossChainSwapRequest:
    return CrossChainSwapRequest(
        from_account="a", amount="600.00", min_output_amount=min_output_amount
    )


@pytest.mark.parametrize(
    ("impact", "output_minor"), [("0", 20_000_000), ("1", 19_800_000), ("100", 0), ("150", 0)]
)
def test_a_market_gives_the_rate_less_the_impact(impact: str, output_minor: int) -> None:
    assert swap_quote(ALL, "ETH", impact_percent=Decimal(impact)).output_minor == output_minor


@pytest.mark.parametrize(
    ("asked", "received_minor", "least_minor"),
    [
        (None, 600_000_000, 19_800_000),
        (None, 598_500_000, 19_750_500),
        (None, 1, 1),
        ("0.15", 598_500_000, 15_000_000),
    ],
)
def test_the_least_is_as_asked_or_as_quoted_for_what_arrived(
    asked: str | None, received_minor: int, least_minor: int
) -> None:
    quote, received = SwapQuote(20_000_000, "0"), Money(received_minor, "USDC")

    assert least_output(a_swap(asked), quote, received) == Money(least_minor, "ETH")


def test_a_quote_below_the_least_is_refused_at_once() -> None:
    check_quote(a_swap("0.20"), SwapQuote(20_000_000, "0"))
    with pytest.raises(SlippageExceeded):
        check_quote(a_swap("0.20000001"), SwapQuote(20_000_000, "0"))

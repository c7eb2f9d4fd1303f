"""What a position is worth, and what its owner made of it."""

from decimal import Decimal
from typing import Literal

import pytest

from activities.connectors.defi import seized
from domain.errors import ConnectorRefused, RewardsBelowGas
from domain.harvest import check_worth
from domain.money import Money
from domain.position import (
    ClosePositionRequest,
    ClosingPosition,
    Position,
    Withdrawn,
    realized_pnl,
    value_usd,
)

LOAN = Position(
    id="pos_1",
    account_id="a",
    wallet_address="0x1f",
    protocol="sandbox",
    type="borrow",
    chain="base",
    money=Money(100_000_000, "ETH"),
    debt=Money(1_000_000_000, "USDC"),
    apy="2.10",
    value_usd_minor=300_000,
)


def test_a_price_that_fell_takes_the_value_with_it() -> None:
    ether = Money(100_000_000, "ETH")

    assert value_usd(ether) == Decimal("3000.00")
    assert value_usd(ether, slip_percent=Decimal("45")) == Decimal("1650.00")


@pytest.mark.parametrize(
    ("reason", "returned_minor", "slip", "pnl"),
    [
        ("user", 100_000_000, "0", "0.00"),
        ("user", 101_000_000, "0", "30.00"),
        ("user", 100_000_000, "10", "-300.00"),
        # The collateral that is left, and the 1,000 that need not be paid back.
        ("liquidated", 12_500_000, "60", "-1850.00"),
    ],
)
def test_what_its_owner_made_of_it(
    reason: Literal["user", "liquidated"], returned_minor: int, slip: str, pnl: str
) -> None:
    closing = ClosingPosition(ClosePositionRequest(position_id="pos_1", reason=reason), LOAN)

    assert realized_pnl(closing, Withdrawn(returned_minor, "0x", slip)) == Decimal(pnl)


@pytest.mark.parametrize(
    ("slip", "left_minor"), [("60", 12_500_000), ("65", 0), ("100", 0), ("58.4", 15_865_384)]
)
def test_a_liquidation_takes_the_debt_and_a_penalty_and_no_more_than_there_is(
    slip: str, left_minor: int
) -> None:
    assert seized(LOAN, Decimal(slip)) == left_minor


def test_what_covers_its_debt_is_not_liquidated() -> None:
    with pytest.raises(ConnectorRefused, match=r"1\.00"):
        seized(LOAN, Decimal("58.33"))


def test_rewards_are_claimed_if_they_are_worth_more_than_the_gas() -> None:
    check_worth(Money(20_000, "USDC"), "base")
    with pytest.raises(RewardsBelowGas):
        check_worth(Money(10_000, "USDC"), "base")
    with pytest.raises(RewardsBelowGas):
        check_worth(Money(1_500_000, "USDC"), "ethereum")

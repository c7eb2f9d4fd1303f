import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidAmount, InvalidAssetCode, SameAccount
from domain.money import AMOUNT_MINOR_MAX, Money
from domain.transfer import (
    ConversionTransferRequest,
    QuotedTransfer,
    TransferRequest,
    transfer_fee,
    transferable,
)

amounts = st.integers(1, AMOUNT_MINOR_MAX)
rates = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("minor", "basis_points", "fee"),
    [(10_000, 0, 0), (10_000, 50, 50), (1, 1, 1), (10_001, 50, 51), (10_000, 10_000, 10_000)],
)
def test_a_fee_is_rounded_up(minor: int, basis_points: int, fee: int) -> None:
    assert transfer_fee(Money(minor, "USD"), basis_points=basis_points) == fee


@given(amounts, rates)
def test_a_fee_is_never_more_than_the_amount(minor: int, basis_points: int) -> None:
    fee = transfer_fee(Money(minor, "USD"), basis_points=basis_points)

    assert 0 <= fee <= minor
    assert fee * 10_000 >= minor * basis_points


@given(amounts, rates)
def test_what_can_be_sent_leaves_just_enough_for_its_fee(minor: int, basis_points: int) -> None:
    def cost(amount: int) -> int:
        return amount + transfer_fee(Money(amount, "USD"), basis_points=basis_points)

    sendable = transferable(Money(minor, "USD"), basis_points=basis_points).amount_minor

    assert cost(sendable) <= minor < cost(sendable + 1)


def test_a_transfer_needs_two_accounts() -> None:
    with pytest.raises(SameAccount):
        TransferRequest(id="t", from_account="a", to_account="a", amount="1")


@pytest.mark.parametrize("amount", ["0", "-1", 0, "1.234", "one"])
def test_a_transfer_of_nothing_readable_cannot_exist(amount: str | int) -> None:
    with pytest.raises(InvalidAmount):
        TransferRequest(id="t", from_account="a", to_account="b", amount=amount)


def test_a_transfer_and_its_fee_are_held_apart() -> None:
    transfer = TransferRequest(id="t", from_account="a", to_account="b", amount="50.00")

    assert transfer.money == Money(5_000, "USD")
    assert QuotedTransfer(transfer, 25).fee == Money(25, "USD")
    assert transfer.hold_id != transfer.fee_hold_id


@pytest.mark.parametrize(("from_asset", "to_asset"), [("USD", "XXX"), ("XXX", "USD")])
def test_a_conversion_is_between_assets_that_are_known(from_asset: str, to_asset: str) -> None:
    with pytest.raises(InvalidAssetCode):
        ConversionTransferRequest(
            id="c",
            from_account="a",
            to_account="b",
            amount="1",
            from_asset=from_asset,
            to_asset=to_asset,
        )

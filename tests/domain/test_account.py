import pytest

from domain.account import OpenAccountRequest, asset_balance, balance_updated
from domain.errors import InvalidAssetCode
from domain.ledger import BalanceChange
from domain.money import Money

CHANGE = BalanceChange("a/USD", "a", "USD", 1_000, 700, 150, 3)


def test_a_change_of_a_balance_is_told_in_both_spellings() -> None:
    told = balance_updated(CHANGE, reason="outgoing_transfer", related="t1").model_dump(mode="json")

    for name, text, minor in [
        ("previous_balance", "10.00", 1_000),
        ("new_balance", "7.00", 700),
        ("change_amount", "-3.00", -300),
        ("available_balance", "5.50", 550),
        ("reserved_balance", "1.50", 150),
    ]:
        assert (told[name], told[f"{name}_minor"]) == (text, minor)
    assert told["ledger_sequence"] == 3
    assert told["related_transaction"] == "t1"


def test_the_banks_own_balances_are_nobody_elses_business() -> None:
    change = BalanceChange("ten:cash/USD", None, "USD", 0, -5, 0, 1)

    with pytest.raises(AssertionError):
        balance_updated(change, reason="deposit", related=None)


def test_what_is_held_is_not_available() -> None:
    told = asset_balance("JPY", posted_minor=1_000, reserved_minor=400).model_dump(mode="json")

    assert (told["total_balance"], told["available_balance"]) == ("1000", "600")
    assert (told["reserved_balance"], told["reserved_balance_minor"]) == ("400", 400)


def test_an_account_is_opened_in_an_asset_that_is_known() -> None:
    request = OpenAccountRequest(id="a", user_uuid="u", initial_balance_minor=500)

    assert request.initial_balance == Money(500, "USD")
    with pytest.raises(InvalidAssetCode):
        OpenAccountRequest(id="a", user_uuid="u", base_currency="XXX")

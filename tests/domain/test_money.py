from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidAmount, InvalidAssetCode
from domain.money import AMOUNT_MINOR_MAX, EXPONENTS, Money, minor_to_decimal, parse_amount

asset_codes = st.sampled_from(sorted(EXPONENTS))
amounts = st.integers(1, AMOUNT_MINOR_MAX)


@pytest.mark.parametrize(
    ("text", "asset_code", "minor"),
    [
        ("50.00", "USD", 5_000),
        ("50", "USD", 5_000),
        ("50.5", "USD", 5_050),
        ("0.01", "USD", 1),
        ("0.010", "USD", 1),
        ("50", "JPY", 50),
        ("50.000", "JPY", 50),
        ("1.234", "KWD", 1_234),
        ("1.23456789", "BTC", 123_456_789),
        ("10000000000000.00", "USD", AMOUNT_MINOR_MAX),
        ("9999999999999.990000000000000000", "USD", AMOUNT_MINOR_MAX - 1),
    ],
)
def test_a_text_is_in_major_units(text: str, asset_code: str, minor: int) -> None:
    assert parse_amount(text, asset_code) == Money(minor, asset_code)


def test_an_integer_is_in_minor_units() -> None:
    assert parse_amount(5_000, "USD") == Money(5_000, "USD")
    assert parse_amount(5_000, "JPY") == Money(5_000, "JPY")


@pytest.mark.parametrize("wrong", [50.0, 1e3, True, False, None, [], b"50", Decimal("50.00")])
def test_nothing_else_is_an_amount(wrong: str) -> None:
    with pytest.raises(InvalidAmount):
        parse_amount(wrong, "USD")


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "abc", "5e3", "1E2", "NaN", "Infinity", "-inf", "0x10", "1_000", "1,000"],
        *["50.", ".50", "+50", "050", "00", "50 ", " 50", "50\n", "5\u0660", "\uff15", "1.2.3"],
        *["9" * 19, "0." + "0" * 19, "1" * 5_000],
    ],
)
def test_only_a_plain_decimal_is_an_amount(text: str) -> None:
    with pytest.raises(InvalidAmount, match="plain decimal"):
        parse_amount(text, "USD")


@pytest.mark.parametrize("nothing", ["0", "0.00", "-0", "-0.01", "-50.00", 0, -1])
def test_an_amount_is_more_than_nothing(nothing: str | int) -> None:
    with pytest.raises(InvalidAmount, match="between 1 and"):
        parse_amount(nothing, "USD")


@pytest.mark.parametrize("too_much", ["10000000000000.01", AMOUNT_MINOR_MAX + 1, 2**63, 10**30])
def test_an_amount_has_a_limit(too_much: str | int) -> None:
    with pytest.raises(InvalidAmount, match="between 1 and"):
        parse_amount(too_much, "USD")


@pytest.mark.parametrize(
    ("text", "asset_code"), [("0.001", "USD"), ("1.5", "JPY"), ("1.0000001", "USDC")]
)
def test_an_amount_is_no_finer_than_its_asset(text: str, asset_code: str) -> None:
    with pytest.raises(InvalidAmount, match="digits after the point"):
        parse_amount(text, asset_code)


@pytest.mark.parametrize("asset_code", ["", "usd", "USDX", "U$D", " USD"])
def test_an_unknown_asset_is_refused(asset_code: str) -> None:
    with pytest.raises(InvalidAssetCode):
        parse_amount("1", asset_code)


@pytest.mark.parametrize(
    ("minor", "asset_code", "text"),
    [
        (5_000, "USD", "50.00"),
        (5, "USD", "0.05"),
        (0, "USD", "0.00"),
        (-5, "USD", "-0.05"),
        (-12_345, "USD", "-123.45"),
        (5_000, "JPY", "5000"),
        (-1, "JPY", "-1"),
        (1, "BTC", "0.00000001"),
    ],
)
def test_an_amount_is_shown_with_all_its_digits(minor: int, asset_code: str, text: str) -> None:
    assert minor_to_decimal(minor, asset_code) == text


@given(amounts, asset_codes)
def test_what_is_shown_can_be_read_back(minor: int, asset_code: str) -> None:
    assert parse_amount(minor_to_decimal(minor, asset_code), asset_code).amount_minor == minor


@given(st.integers(-(2**63), 2**63), asset_codes)
def test_what_is_shown_is_the_exact_decimal(minor: int, asset_code: str) -> None:
    shown = Decimal(minor_to_decimal(minor, asset_code))

    assert shown * 10 ** EXPONENTS[asset_code] == minor


@pytest.mark.parametrize("wrong", [5.0, True, "5", Decimal(5), None])
def test_money_is_never_anything_but_an_integer(wrong: int) -> None:
    with pytest.raises(AssertionError):
        Money(wrong, "USD")


def test_money_reads_as_people_write_it() -> None:
    assert str(Money(5_000, "USD")) == "50.00 USD"


def test_sums_of_a_million_of_the_largest_amounts_fit_the_database() -> None:
    assert AMOUNT_MINOR_MAX * 9_000 < 2**63

"""Reference rates: what an asset is worth in US dollars, for comparing amounts with thresholds.

As of no particular day: these never move by themselves. Nothing is bought or sold at them but in
the sandbox market.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from domain.errors import RouteUnsupported
from domain.money import Money, exponent

# USD for one unit.
USD_RATES: Final[dict[str, str]] = {
    "USD": "1",
    "EUR": "1.08",
    "GBP": "1.27",
    "CHF": "1.12",
    "CAD": "0.73",
    "AUD": "0.66",
    "NZD": "0.60",
    "SGD": "0.74",
    "HKD": "0.128",
    "SEK": "0.095",
    "NOK": "0.093",
    "DKK": "0.145",
    "PLN": "0.25",
    "CZK": "0.043",
    "CNY": "0.14",
    "INR": "0.012",
    "MXN": "0.055",
    "BRL": "0.18",
    "ZAR": "0.055",
    "JPY": "0.0067",
    "KRW": "0.00073",
    "CLP": "0.0011",
    "ISK": "0.0073",
    "VND": "0.00004",
    "KWD": "3.25",
    "BHD": "2.65",
    "OMR": "2.60",
    "JOD": "1.41",
    "TND": "0.32",
    "USDC": "1",
    "USDT": "1",
    "DAI": "1",
    "EURC": "1.08",
    "BTC": "60000",
    "ETH": "3000",
    "WETH": "3000",
    "SOL": "150",
    "MATIC": "0.5",
}


def in_usd(money: Money) -> Money | None:
    """What it is worth, to the cent; None where no rate is known."""
    rate = USD_RATES.get(money.asset_code)
    if rate is None:
        return None
    units = Decimal(money.amount_minor).scaleb(-exponent(money.asset_code))
    cents = (units * Decimal(rate) * 100).to_integral_value(ROUND_HALF_UP)
    return Money(int(cents), "USD")


def value_in_usd(money: Money) -> Money:
    """The same, where there must be a rate. Raises RouteUnsupported."""
    value = in_usd(money)
    if value is None:
        raise RouteUnsupported(f"nobody knows what {money.asset_code} is worth")
    return value

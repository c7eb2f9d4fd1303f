"""Money: integer minor units and a code; decimal strings only at the edges.

Three spellings meet here. Inside: `Money(5000, "USD")`. From a client: the string `"50.00"` is in
major units, the integer `5000` in minor units, a float is refused. To a client: both.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field, StrictInt, StrictStr

from domain.errors import InvalidAmount, InvalidAssetCode

# Digits after the point: ISO 4217 for currencies, the issuers' own scale for tokens. Ether's 18
# and bitcoin's 8 would not both fit 64 bits with room for sums; tokens are kept at 6 to 8.
EXPONENTS: Final[dict[str, int]] = {
    **dict.fromkeys(["USD", "EUR", "GBP", "CHF", "CAD", "AUD", "NZD", "SGD", "HKD"], 2),
    **dict.fromkeys(["SEK", "NOK", "DKK", "PLN", "CZK", "CNY", "INR", "MXN", "BRL", "ZAR"], 2),
    **dict.fromkeys(["JPY", "KRW", "CLP", "ISK", "VND"], 0),
    **dict.fromkeys(["KWD", "BHD", "OMR", "JOD", "TND"], 3),
    **dict.fromkeys(["USDC", "USDT", "DAI", "EURC"], 6),
    **dict.fromkeys(["BTC", "ETH", "SOL", "WETH", "MATIC"], 8),
}
AMOUNT_MINOR_MAX: Final = 10**15  # Sums of many stay far below 2**63.
AmountText = Annotated[
    StrictStr | StrictInt,
    Field(description='"50.00" is in major units, 5000 in minor units; a float is refused'),
]
DECIMAL = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,18})?\Z", re.ASCII)


@dataclass(frozen=True)
class Money:
    """An amount in minor units (cents). Never a float."""

    amount_minor: int
    asset_code: str

    def __post_init__(self) -> None:
        assert type(self.amount_minor) is int, f"money of {self.amount_minor!r}"

    def __str__(self) -> str:
        return f"{self.decimal} {self.asset_code}"

    @property
    def decimal(self) -> str:
        """The amount in major units: `"50.00"`."""
        return minor_to_decimal(self.amount_minor, self.asset_code)


def exponent(asset_code: str) -> int:
    """Digits after the point. Raises InvalidAssetCode."""
    try:
        return EXPONENTS[asset_code]
    except KeyError:
        raise InvalidAssetCode(asset_code) from None


def minor_to_decimal(amount_minor: int, asset_code: str) -> str:
    places = exponent(asset_code)
    digits = f"{abs(amount_minor):0{places + 1}d}"
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def parse_amount(value: str | int, asset_code: str) -> Money:
    """Read a client's amount. Raises InvalidAmount or InvalidAssetCode, saying what to write."""
    places = exponent(asset_code)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidAmount(
            "an amount is a decimal string in major units or an integer in minor units"
        )
    minor = value if isinstance(value, int) else _decimal_to_minor(value, places, asset_code)
    if not 0 < minor <= AMOUNT_MINOR_MAX:
        raise InvalidAmount(f"an amount lies between 1 and {AMOUNT_MINOR_MAX} minor units")
    return Money(minor, asset_code)


def _decimal_to_minor(text: str, places: int, asset_code: str) -> int:
    if not DECIMAL.match(text):
        raise InvalidAmount('write the amount as a plain decimal, like "50.00"')
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > places:
        raise InvalidAmount(f"{asset_code} has {places} digits after the point")
    return int(whole + fraction.ljust(places, "0"))

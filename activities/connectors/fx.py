"""FX markets: buying one asset with another. The port, and its sandbox with fixed mid rates."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from activities.connectors.sandbox import Sandbox
from domain.errors import ConnectorRefused
from domain.money import Money, exponent
from domain.reference_rates import USD_RATES
from domain.sandbox import Faults

RATE_PLACES = Decimal("0.00000001")


@dataclass(frozen=True)
class Quote:
    """What the market gives: `rate` is to-asset per from-asset, after its spread."""

    bought: Money
    rate: str


class FxMarket(ABC):
    """Every call is idempotent by `deal_id`, which the caller made."""

    @abstractmethod
    async def deal(
        self, deal_id: str, sold: Money, asset_code: str, *, slippage_max: Decimal, faults: Faults
    ) -> Quote:
        """Sell `sold` for `asset_code`. Raises ConnectorRefused(slippage_exceeded), Unavailable.

        `slippage_max` is in percent of the mid rate.
        """

    @abstractmethod
    async def reverse(self, deal_id: str) -> bool:
        """Undo the deal, or make the market refuse it if it comes later. True if undone."""


class SandboxFx(FxMarket):
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def deal(
        self, deal_id: str, sold: Money, asset_code: str, *, slippage_max: Decimal, faults: Faults
    ) -> Quote:
        slip = Decimal(faults.slip_percent)
        if slip > slippage_max:
            raise ConnectorRefused(
                "slippage_exceeded",
                f"the rate slipped {slip} %, {slippage_max} % are allowed",
                slippage_percent=str(slip),
                slippage_percent_max=str(slippage_max),
            )
        quote = _quote(sold, asset_code, slip)
        request = {"sold_minor": sold.amount_minor, "from": sold.asset_code, "to": asset_code}
        kept = {"bought_minor": quote.bought.amount_minor, "rate": quote.rate}
        answer = await self._sandbox.do(deal_id, request, faults, lambda: kept)
        return Quote(Money(answer["bought_minor"], asset_code), answer["rate"])

    async def reverse(self, deal_id: str) -> bool:
        return await self._sandbox.call_off(deal_id)


def _quote(sold: Money, asset_code: str, slip: Decimal) -> Quote:
    for code in (sold.asset_code, asset_code):
        if code not in USD_RATES:
            raise ConnectorRefused("route_unsupported", f"the sandbox market has no {code}")
    mid = Decimal(USD_RATES[sold.asset_code]) / Decimal(USD_RATES[asset_code])
    rate = (mid * (1 - slip / 100)).quantize(RATE_PLACES, ROUND_DOWN)
    major = Decimal(sold.amount_minor).scaleb(-exponent(sold.asset_code)) * rate
    bought = int(major.scaleb(exponent(asset_code)).to_integral_value(ROUND_DOWN))
    if bought < 1:
        raise ConnectorRefused("amount_too_small", f"{sold} buys no whole unit of {asset_code}")
    return Quote(Money(bought, asset_code), format(rate.normalize(), "f"))

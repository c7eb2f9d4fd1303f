"""Exchanges on a chain: swapping one token for another. The port, and its sandbox."""

from abc import ABC, abstractmethod
from decimal import ROUND_UP, Decimal
from typing import Final

from activities.connectors.sandbox import Sandbox, sandbox_hash
from domain.errors import SlippageExceeded
from domain.money import Money
from domain.position import value_usd
from domain.sandbox import Faults
from domain.swap import Swapped, SwapQuote, swap_quote

# So many dollars at once move a price by one percent.
DEPTH_USD: Final = Decimal(1_000_000)


class Dex(ABC):
    """Every call is idempotent by its first argument, which the caller made."""

    @abstractmethod
    async def quote(self, quote_id: str, sold: Money, to_asset: str, faults: Faults) -> SwapQuote:
        """What would come out. Raises ConnectorRefused, Unavailable."""

    @abstractmethod
    async def swap(self, swap_id: str, sold: Money, least: Money, faults: Faults) -> Swapped:
        """Swap for no less than `least`. Raises ConnectorRefused, Unavailable."""

    @abstractmethod
    async def call_off(self, swap_id: str) -> bool:
        """Refuse the swap if it comes after it was given up. True if it was there, and is not."""


class SandboxDex(Dex):
    """Swaps at the reference rates, less the impact of the amount and `slip_percent`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def quote(self, quote_id: str, sold: Money, to_asset: str, faults: Faults) -> SwapQuote:
        quote = _quote(sold, to_asset, faults)
        said = {
            "output_minor": quote.output_minor,
            "price_impact_percent": quote.price_impact_percent,
        }
        answer = await self._sandbox.do(quote_id, _asked(sold, to_asset), faults, lambda: said)
        return SwapQuote(**answer)

    async def swap(self, swap_id: str, sold: Money, least: Money, faults: Faults) -> Swapped:
        def trade() -> dict[str, str | int]:
            quote = _quote(sold, least.asset_code, faults)
            if quote.output_minor < least.amount_minor:
                output = Money(quote.output_minor, least.asset_code)
                raise SlippageExceeded(f"{output} would come out, {least} are asked for")
            return {
                "outcome": "swapped",
                "output_minor": quote.output_minor,
                "price_impact_percent": quote.price_impact_percent,
                "tx_hash": sandbox_hash(swap_id),
            }

        asked = _asked(sold, least.asset_code) | {"least_minor": least.amount_minor}
        return Swapped(**await self._sandbox.do(swap_id, asked, faults, trade))

    async def call_off(self, swap_id: str) -> bool:
        return await self._sandbox.call_off(swap_id)


def _asked(sold: Money, to_asset: str) -> dict[str, str | int]:
    return {"sold_minor": sold.amount_minor, "from": sold.asset_code, "to": to_asset}


def _quote(sold: Money, to_asset: str, faults: Faults) -> SwapQuote:
    impact = value_usd(sold) / DEPTH_USD + Decimal(faults.slip_percent)
    impact = impact.quantize(Decimal("0.0001"), ROUND_UP)
    return swap_quote(sold, to_asset, impact_percent=impact)

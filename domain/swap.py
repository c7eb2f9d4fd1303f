"""Swaps: one token for another on a chain, at no less than a minimum.

Pure: the saga cross_chain_swap and its activities do what is decided here.
"""

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.account import AccountId, AssetCode
from domain.bridge import BridgeTransferRequest, Protocol
from domain.errors import RouteUnsupported, SlippageExceeded
from domain.money import AmountText, Money, exponent, parse_amount
from domain.payment_intent import NETWORKS, NetworkName
from domain.position import Percent
from domain.reference_rates import USD_RATES
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults

HUNDRED: Final = Decimal(100)


@dataclass(frozen=True, kw_only=True)
class CrossChainSwapRequest(SagaRequest):
    """Bring an account's tokens to another chain, and swap them there for others.

    At least `min_output_amount` must come out; left out, it is what the swap is quoted at, less
    `max_slippage_percent`. If the swap cannot be had for that, the account keeps the bridged
    tokens. `sandbox` tells the sandboxes `dex_quote` and `dex` how to behave, and those of the
    bridge transfer.
    """

    from_account: AccountId
    amount: AmountText
    from_asset: AssetCode = "USDC"
    to_asset: AssetCode = "ETH"
    from_chain: NetworkName = "ethereum"
    to_chain: NetworkName = "base"
    bridge_protocol: Protocol = "sandbox"
    min_output_amount: AmountText | None = None
    max_slippage_percent: Percent = "1"
    confirm_within_s: Annotated[int, Field(ge=1, le=3_000)] | None = None
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.bridge
        if self.from_asset == self.to_asset:
            raise RouteUnsupported("a swap is between two different tokens")
        if self.to_asset not in NETWORKS[self.to_chain].assets:
            raise RouteUnsupported(f"{self.to_chain} does not carry {self.to_asset}")
        if self.min_output_amount is not None:
            parse_amount(self.min_output_amount, self.to_asset)

    @property
    def swap_id(self) -> str:
        return self.id if self.id.startswith("swap_") else f"swap_{self.id}"

    @property
    def money(self) -> Money:
        return parse_amount(self.amount, self.from_asset)

    @property
    def bridge(self) -> BridgeTransferRequest:
        """The saga that brings the tokens over, for the same account."""
        return BridgeTransferRequest(
            id=f"{self.id}-bridge",
            from_account=self.from_account,
            amount=self.amount,
            asset_code=self.from_asset,
            from_chain=self.from_chain,
            to_chain=self.to_chain,
            protocol=self.bridge_protocol,
            confirm_within_s=self.confirm_within_s,
            sandbox=self.sandbox,
        )

    @property
    def hold_id(self) -> str:
        return f"{self.swap_id}/hold"

    def faults(self, party: str) -> Faults:
        return self.sandbox.get(party, NO_FAULTS)


@dataclass(frozen=True)
class SwapQuote:
    """What a market gives for an amount, its price impact in percent taken off."""

    output_minor: int
    price_impact_percent: str


@dataclass(frozen=True)
class BridgedSwap:
    """What arrived on the other chain, and what is to come out of it at least."""

    request: CrossChainSwapRequest
    bridge_tx_id: str
    received_minor: int
    min_output_minor: int

    @property
    def received(self) -> Money:
        return Money(self.received_minor, self.request.from_asset)

    @property
    def min_output(self) -> Money:
        return Money(self.min_output_minor, self.request.to_asset)


@dataclass(frozen=True)
class Swapped:
    """How the swap went. Without a hash it was not made, and nothing came out of it."""

    outcome: Literal["swapped", "bridged_unswapped"]
    output_minor: int = 0
    tx_hash: str | None = None
    price_impact_percent: str = "0"
    reason: str | None = None


@dataclass(frozen=True)
class EndedSwap:
    bridged: BridgedSwap
    swapped: Swapped

    @property
    def output(self) -> Money:
        """What the account has in the end: what it swapped for, or what was bridged."""
        if self.swapped.outcome == "swapped":
            return Money(self.swapped.output_minor, self.bridged.request.to_asset)
        return self.bridged.received


def swap_quote(sold: Money, to_asset: str, *, impact_percent: Decimal) -> SwapQuote:
    """At the reference rates, less the impact; rounded down."""
    rate = Decimal(USD_RATES[sold.asset_code]) / Decimal(USD_RATES[to_asset])
    major = Decimal(sold.amount_minor).scaleb(-exponent(sold.asset_code)) * rate
    left = major * (HUNDRED - impact_percent) / HUNDRED
    minor = left.scaleb(exponent(to_asset)).to_integral_value(ROUND_DOWN)
    return SwapQuote(max(0, int(minor)), format(impact_percent.normalize(), "f"))


def least_output(request: CrossChainSwapRequest, quote: SwapQuote, received: Money) -> Money:
    """What must come out at least of what arrived. `quote` is for the whole amount.

    As asked for, or as quoted, less what it may slip: and never nothing.
    """
    if request.min_output_amount is not None:
        return parse_amount(request.min_output_amount, request.to_asset)
    arrived = Decimal(received.amount_minor) / request.money.amount_minor
    allowed = (HUNDRED - Decimal(request.max_slippage_percent)) / HUNDRED
    least = (quote.output_minor * arrived * allowed).to_integral_value(ROUND_DOWN)
    return Money(max(1, int(least)), request.to_asset)


def check_quote(request: CrossChainSwapRequest, quote: SwapQuote) -> None:
    """Raises SlippageExceeded if even the quote gives less than is asked for at least."""
    least = least_output(request, quote, request.money)
    if quote.output_minor < least.amount_minor:
        raise SlippageExceeded(
            f"{request.money} are quoted at {Money(quote.output_minor, request.to_asset)}, "
            f"{least} are asked for",
            asset_code=request.to_asset,
            quoted_minor=quote.output_minor,
            least_minor=least.amount_minor,
        )

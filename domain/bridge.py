"""Bridges: how tokens cross from one chain to another, what that costs, and how much may.

Pure: the saga bridge_transfer and its activities do what is decided here.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from domain.account import AccountId, AssetCode
from domain.errors import LimitExceeded, QuoteExpired, RouteUnsupported
from domain.money import AmountText, Money, parse_amount
from domain.payment_intent import NETWORKS, NetworkName
from domain.reference_rates import value_in_usd
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults

Protocol = Literal["wormhole", "layerzero", "axelar", "circle_cctp", "sandbox"]
Address = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{20,64}$")]

# How long each usually takes.
USUAL_S: Final[dict[Protocol, int]] = {
    "wormhole": 900,
    "layerzero": 120,
    "axelar": 180,
    "circle_cctp": 780,
    "sandbox": 5,
}
# One issuer's own bridge carries nothing else.
CARRIES_ONLY: Final[dict[Protocol, frozenset[str]]] = {"circle_cctp": frozenset({"USDC", "EURC"})}

QUOTE_VALID: Final = timedelta(seconds=300)
DAY: Final = timedelta(hours=24)
PER_TRANSFER_MAX: Final = Money(10_000_000, "USD")
PER_DAY_MAX: Final = Money(50_000_000, "USD")
PER_DAY_COUNT_MAX: Final = 50
ASK_AFTER_MIN: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Route:
    """From one chain to another, over a protocol. Raises RouteUnsupported where there is none."""

    from_chain: NetworkName
    to_chain: NetworkName
    protocol: Protocol
    asset_code: str

    def __post_init__(self) -> None:
        if self.from_chain == self.to_chain:
            raise RouteUnsupported("a bridge joins two different chains")
        for chain in (self.from_chain, self.to_chain):
            if self.asset_code not in NETWORKS[chain].assets:
                raise RouteUnsupported(f"{chain} does not carry {self.asset_code}")
        if self.asset_code not in CARRIES_ONLY.get(self.protocol, {self.asset_code}):
            raise RouteUnsupported(f"{self.protocol} does not carry {self.asset_code}")

    @property
    def usual(self) -> timedelta:
        return timedelta(seconds=USUAL_S[self.protocol])


@dataclass(frozen=True, kw_only=True)
class CrossingRequest(SagaRequest):
    """What is to cross, and where. `sandbox` tells the sandboxes by party how to behave."""

    amount: AmountText
    asset_code: AssetCode = "USDC"
    from_chain: NetworkName = "ethereum"
    to_chain: NetworkName = "base"
    protocol: Protocol = "sandbox"
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.money
        assert self.route

    @property
    def money(self) -> Money:
        return parse_amount(self.amount, self.asset_code)

    @property
    def route(self) -> Route:
        return Route(self.from_chain, self.to_chain, self.protocol, self.asset_code)

    def faults(self, party: str) -> Faults:
        return self.sandbox.get(party, NO_FAULTS)


@dataclass(frozen=True, kw_only=True)
class BridgeQuoteRequest(CrossingRequest):
    """Ask what a bridge takes. It holds for 300 seconds, and for one transfer of this amount."""


@dataclass(frozen=True, kw_only=True)
class BridgeTransferRequest(CrossingRequest):
    """Bring an account's tokens to another chain: to `to_account`, or out to `recipient_address`.

    Neither: they stay the account's own, on the other chain. `quote_id` is a quote asked for
    before; without it the bridge is asked for one. What is not there after `confirm_within_s`
    (twice the usual time if left out) is given back. `sandbox` tells the sandboxes `bridge_quote`,
    `sanctions` and `bridge` how to behave.
    """

    from_account: AccountId
    to_account: AccountId | None = None
    recipient_address: Address | None = None
    sender_address: Address | None = None
    quote_id: Annotated[str, Field(max_length=64)] | None = None
    confirm_within_s: Annotated[int, Field(ge=1, le=3_000)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.to_account is not None and self.recipient_address is not None:
            raise RouteUnsupported("it goes to an account or to an address, not to both")

    @property
    def bridge_id(self) -> str:
        return self.id if self.id.startswith("brg_") else f"brg_{self.id}"

    @property
    def credited_account(self) -> str | None:
        """Whose the tokens are in the end; None if they leave the bank."""
        return None if self.recipient_address else self.to_account or self.from_account

    @property
    def accounts(self) -> list[str]:
        return list(dict.fromkeys([self.from_account, self.credited_account or self.from_account]))

    @property
    def hold_id(self) -> str:
        return f"{self.bridge_id}/hold"

    @property
    def window(self) -> timedelta:
        """How long to wait for the tokens after they were sent."""
        if self.confirm_within_s is None:
            return 2 * self.route.usual
        return timedelta(seconds=self.confirm_within_s)


@dataclass(frozen=True)
class BridgeQuote:
    """What a bridge takes, in the token it carries, and until when it says so."""

    quote_id: str
    fee_minor: int
    expires_at: datetime


@dataclass(frozen=True)
class QuotedBridge:
    """A bridge transfer whose price is known."""

    request: BridgeTransferRequest
    quote: BridgeQuote

    @property
    def received(self) -> Money:
        money = self.request.money
        return Money(money.amount_minor - self.quote.fee_minor, money.asset_code)


@dataclass(frozen=True)
class Arrival:
    """The bridge's last word: the tokens arrived, or they were given back. It never changes."""

    outcome: Literal["arrived", "refunded"]
    tx_hash: str
    confirmations: int = 0


@dataclass(frozen=True)
class ArrivedBridge:
    bridge: QuotedBridge
    arrival: Arrival


@dataclass(frozen=True)
class DayUse:
    """What an account sent over bridges in the last 24 hours, this transfer left out."""

    usd_minor: int
    count: int


def bridge_fee(money: Money, *, basis_points: int) -> Money:
    """Rounded up, and never nothing."""
    return Money(max(1, -(-money.amount_minor * basis_points // 10_000)), money.asset_code)


def check_limits(money: Money, today: DayUse) -> None:
    """Raises LimitExceeded."""
    value_minor = value_in_usd(money).amount_minor
    if value_minor > PER_TRANSFER_MAX.amount_minor:
        raise _exceeded("per_transfer", PER_TRANSFER_MAX.amount_minor, value_minor)
    if today.usd_minor + value_minor > PER_DAY_MAX.amount_minor:
        raise _exceeded("per_day", PER_DAY_MAX.amount_minor, today.usd_minor + value_minor)
    if today.count >= PER_DAY_COUNT_MAX:
        raise LimitExceeded(
            f"{PER_DAY_COUNT_MAX} bridge transfers a day are allowed",
            limit="per_day_count",
            limit_count=PER_DAY_COUNT_MAX,
        )


def check_quote(quote: BridgeQuote, now: datetime) -> None:
    """Raises QuoteExpired."""
    if now >= quote.expires_at:
        raise QuoteExpired(f"the quote {quote.quote_id} expired", quote_id=quote.quote_id)


def ask_again_after(waited: timedelta, usual: timedelta) -> timedelta:
    """Often at first, and at last four times in the usual time."""
    return max(ASK_AFTER_MIN, min(waited, usual / 4))


def _exceeded(limit: str, limit_minor: int, wanted_minor: int) -> LimitExceeded:
    details: dict[str, Any] = {"limit_minor": limit_minor, "wanted_minor": wanted_minor}
    return LimitExceeded(
        f"{Money(wanted_minor, 'USD')} over bridges are over the limit {limit} of "
        f"{Money(limit_minor, 'USD')}",
        limit=limit,
        asset_code="USD",
        **details,
    )

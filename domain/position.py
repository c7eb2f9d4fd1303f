"""DeFi positions: what is put into a protocol, what is borrowed against it, and what that is worth.

Pure: the sagas open_position, close_position, position_monitor and harvest_yield do what is
decided here. Values in USD are estimates at reference rates, in cents.
"""

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.account import AccountId, AssetCode
from domain.errors import InvalidAmount, RouteUnsupported
from domain.money import AmountText, Money, parse_amount
from domain.payment_intent import NETWORKS, NetworkName
from domain.reference_rates import value_in_usd
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults

PositionType = Literal["supply", "borrow", "lp", "stake", "yield_vault"]
ProtocolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
PositionId = Annotated[str, Field(min_length=1, max_length=72)]
Percent = Annotated[str, Field(pattern=r"^\d{1,2}(\.\d{1,4})?$")]

# What of the collateral's value counts against the debt.
COUNTS: Final = Decimal("0.8")
HUNDRED: Final = Decimal(100)


@dataclass(frozen=True, kw_only=True)
class OpenPositionRequest(SagaRequest):
    """Put an account's tokens into a protocol; for type `borrow`, borrow others against them.

    `sandbox` tells the sandbox of the protocol how to behave, by what is done: `assess`,
    `approve`, `supply`.
    """

    account_uuid: AccountId
    amount: AmountText
    asset_code: AssetCode = "USDC"
    type: PositionType = "supply"
    borrow_amount: AmountText | None = None
    borrow_asset: AssetCode | None = None
    chain: NetworkName = "base"
    protocol: ProtocolName = "sandbox"
    max_price_impact_percent: Percent = "1"
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.money
        borrows = self.type == "borrow"
        if borrows != (self.borrow_amount is not None) or borrows != (
            self.borrow_asset is not None
        ):
            raise InvalidAmount("borrow_amount and borrow_asset belong to the type borrow")
        for asset_code in filter(None, (self.asset_code, self.borrow_asset)):
            if asset_code not in NETWORKS[self.chain].assets:
                raise RouteUnsupported(f"{self.chain} does not carry {asset_code}")

    @property
    def position_id(self) -> str:
        return self.id if self.id.startswith("pos_") else f"pos_{self.id}"

    @property
    def money(self) -> Money:
        return parse_amount(self.amount, self.asset_code)

    @property
    def debt(self) -> Money | None:
        if self.borrow_amount is None or self.borrow_asset is None:
            return None
        return parse_amount(self.borrow_amount, self.borrow_asset)

    @property
    def hold_id(self) -> str:
        return f"{self.position_id}/hold"

    def faults(self, what: str) -> Faults:
        return self.sandbox.get(what, NO_FAULTS)


@dataclass(frozen=True, kw_only=True)
class ClosePositionRequest(SagaRequest):
    """Take everything out of a position again. What was borrowed is paid back from the account.

    `liquidated` is for a position whose collateral no longer covers its debt: the protocol keeps
    what it is owed, and refuses while the position is healthy. `sandbox` tells the sandbox of the
    protocol how to behave: `close`, whose `slip_percent` is how far the collateral's price fell.
    """

    position_id: PositionId
    reason: Literal["user", "liquidated", "expired"] = "user"
    sandbox: dict[str, Faults] = field(default_factory=dict)

    @property
    def hold_id(self) -> str:
        return f"{self.id}/repayment-hold"

    def faults(self, what: str) -> Faults:
        return self.sandbox.get(what, NO_FAULTS)


@dataclass(frozen=True)
class Terms:
    """What a protocol offers: yield and price impact, in percent."""

    apy: str
    price_impact_percent: str


@dataclass(frozen=True)
class AssessedPosition:
    request: OpenPositionRequest
    terms: Terms


@dataclass(frozen=True)
class SuppliedPosition:
    """What was put into the protocol, by this hash."""

    request: OpenPositionRequest
    tx_hash: str


@dataclass(frozen=True)
class Position:
    """An open position, as the bank has it."""

    id: str
    account_id: str
    wallet_address: str
    protocol: str
    type: PositionType
    chain: NetworkName
    money: Money
    debt: Money | None
    apy: str
    value_usd_minor: int


@dataclass(frozen=True)
class ClosingPosition:
    request: ClosePositionRequest
    position: Position

    @property
    def repays(self) -> Money | None:
        """What the account must pay back: nothing where the protocol keeps collateral for it."""
        return None if self.request.reason == "liquidated" else self.position.debt


@dataclass(frozen=True)
class Withdrawn:
    """What the protocol gave back. `price_slip_percent`: how far the price had fallen then."""

    returned_minor: int
    tx_hash: str
    price_slip_percent: str = "0"


@dataclass(frozen=True)
class WithdrawnPosition:
    closing: ClosingPosition
    withdrawn: Withdrawn


def value_usd(money: Money, *, slip_percent: Decimal = Decimal(0)) -> Decimal:
    """In dollars and cents, after the price fell by so much."""
    cents = Decimal(value_in_usd(money).amount_minor)
    fallen = cents * (HUNDRED - slip_percent) / HUNDRED
    return (fallen / 100).quantize(Decimal("0.01"), ROUND_DOWN)


def health_factor(
    collateral: Money, debt: Money | None, *, slip_percent: Decimal = Decimal(0)
) -> Decimal | None:
    """Below 1 the collateral no longer covers the debt. None where nothing was borrowed."""
    owed = value_usd(debt) if debt is not None else Decimal(0)
    if not owed:
        return None
    covers = value_usd(collateral, slip_percent=slip_percent) * COUNTS
    return (covers / owed).quantize(Decimal("0.01"), ROUND_DOWN)


def realized_pnl(closing: ClosingPosition, withdrawn: Withdrawn) -> Decimal:
    """What the customer has more, or less, than was put in: in dollars.

    A debt that was not paid back was paid out, and is kept.
    """
    position, slip = closing.position, Decimal(withdrawn.price_slip_percent)
    returned = Money(withdrawn.returned_minor, position.money.asset_code)
    kept = Decimal(0)
    if position.debt is not None and closing.repays is None:
        kept = value_usd(position.debt)
    put_in = Decimal(position.value_usd_minor) / 100
    return value_usd(returned, slip_percent=slip) + kept - put_in

"""Transfers and conversions: what is asked for, and the rules that need no database."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from domain.account import AccountId, AssetCode
from domain.errors import SameAccount
from domain.money import AmountText, Money, exponent, parse_amount
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults
from domain.travel_rule import Jurisdiction, TravelRuleRequest, analyse

BASIS_POINTS = 10_000


@dataclass(frozen=True, kw_only=True)
class TransferRequest(SagaRequest):
    """Move money from one account to another. Names and references stay in the database.

    `rail` "internal" settles at once; another rail is asked, and waited for until `expires_in_s`.
    `requires_approval` has a person approve it, as an account's limits do above an amount. Without
    `jurisdiction` it is that of the asset. `sandbox` tells the sandboxes of the rail and of the
    sanctions lists how to behave: see docs/sandbox.md. Kept: `travel_rule`, data of both sides.
    """

    from_account: AccountId
    to_account: AccountId
    amount: AmountText
    asset_code: AssetCode = "USD"
    rail: str = "internal"
    expires_in_s: Annotated[int | None, Field(ge=1, le=2_592_000)] = None
    requires_approval: bool = False
    approval_within_s: Annotated[int, Field(ge=1, le=2_592_000)] = 86_400
    jurisdiction: Jurisdiction | None = None
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.from_account == self.to_account:
            raise SameAccount("a transfer needs two different accounts", field="to_account")
        assert self.money

    @property
    def money(self) -> Money:
        return parse_amount(self.amount, self.asset_code)

    @property
    def rail_faults(self) -> Faults:
        return self.sandbox.get("rail", NO_FAULTS)

    @property
    def is_internal(self) -> bool:
        return self.rail == "internal"

    @property
    def needs_travel_rule_check(self) -> bool:
        return analyse(self.money, self.jurisdiction).exceeds

    @property
    def travel_rule_check(self) -> TravelRuleRequest:
        return TravelRuleRequest(
            id=self.id,
            transfer_uuid=self.id,
            from_account=self.from_account,
            to_account=self.to_account,
            amount=self.amount,
            asset_code=self.asset_code,
            jurisdiction=self.jurisdiction,
            sandbox=self.sandbox,
        )

    @property
    def hold_id(self) -> str:
        return f"{self.id}/hold"

    @property
    def fee_hold_id(self) -> str:
        return f"{self.id}/fee-hold"


@dataclass(frozen=True)
class TransferQuote:
    """What a transfer costs its sender, fixed before any money is held; and who must approve."""

    fee_minor: int
    needs_approval: bool = False


@dataclass(frozen=True)
class QuotedTransfer:
    """A transfer with its price: the request of every step that moves money."""

    transfer: TransferRequest
    fee_minor: int = 0

    @property
    def fee(self) -> Money:
        return Money(self.fee_minor, self.transfer.asset_code)


@dataclass(frozen=True)
class ComplianceOutcome:
    """What came of the check that a transfer needs. `refusal` None: it may go on."""

    transfer: TransferRequest
    refusal: str | None = None
    text: str = ""
    issues: tuple[str, ...] = ()


def transfer_fee(money: Money, *, basis_points: int) -> int:
    """The fee in minor units, rounded up: never more than the amount, never less than nothing."""
    return -(-money.amount_minor * basis_points // BASIS_POINTS)


def transferable(money: Money, *, basis_points: int) -> Money:
    """The most that can be sent out of `money` when the fee is taken from it too."""
    amount = money.amount_minor * BASIS_POINTS // (BASIS_POINTS + basis_points)
    return Money(amount, money.asset_code)


@dataclass(frozen=True, kw_only=True)
class ConversionTransferRequest(SagaRequest):
    """Convert an amount into another asset, then transfer what came out of it.

    `max_slippage_percent` is a decimal text: "0.5" refuses a rate half a percent below the quote.
    """

    from_account: AccountId
    to_account: AccountId
    amount: AmountText
    from_asset: AssetCode
    to_asset: AssetCode
    max_slippage_percent: Annotated[str, Field(pattern=r"^\d{1,2}(\.\d{1,4})?$")] = "1.0"
    rail: str = "internal"
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.from_account == self.to_account:
            raise SameAccount("a transfer needs two different accounts", field="to_account")
        assert self.money
        exponent(self.to_asset)

    @property
    def money(self) -> Money:
        return parse_amount(self.amount, self.from_asset)

    @property
    def fx_faults(self) -> Faults:
        return self.sandbox.get("fx", NO_FAULTS)


@dataclass(frozen=True)
class Conversion:
    """What a conversion gave: `rate` is a decimal text, to-asset per from-asset.

    `transferable_minor` of what was bought can be sent on, after the transfer's fee.
    """

    sold_minor: int
    sold_asset: str
    bought_minor: int
    bought_asset: str
    rate: str
    transferable_minor: int

"""Payments: deposits and withdrawals, money that crosses the bank's edge over a rail."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from domain.account import AccountId, AssetCode
from domain.money import AmountText, Money, parse_amount
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults

RailName = Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]


@dataclass(frozen=True, kw_only=True)
class PaymentRequest(SagaRequest):
    """Money for or from one account. A reference and metadata stay in the payment's row.

    `sandbox` tells the sandbox rail how to behave: see docs/sandbox.md.
    """

    account_uuid: AccountId
    amount: AmountText
    asset_code: AssetCode = "USD"
    rail: RailName = "sandbox"
    expires_in_s: Annotated[int | None, Field(ge=1, le=2_592_000)] = None
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.money

    @property
    def money(self) -> Money:
        return parse_amount(self.amount, self.asset_code)

    @property
    def rail_faults(self) -> Faults:
        return self.sandbox.get("rail", NO_FAULTS)

    @property
    def hold_id(self) -> str:
        return f"{self.id}/withdrawal-hold"


@dataclass(frozen=True, kw_only=True)
class DepositRequest(PaymentRequest):
    """Collect money over a rail and credit it to the account."""


@dataclass(frozen=True, kw_only=True)
class WithdrawalRequest(PaymentRequest):
    """Debit the account and send the money out over a rail."""

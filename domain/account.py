"""Accounts: what is asked for, and how a change of a balance is told.

What a person wrote (names, reasons, metadata) is not in these requests: it is `kept` with the run.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from domain.account_limits import AssetLimits, check_limits
from domain.catalogue import AccountBalanceUpdated
from domain.catalogue.account import AssetBalance
from domain.catalogue.model import ReasonCode
from domain.errors import SameAccount
from domain.ledger import BalanceChange
from domain.money import AMOUNT_MINOR_MAX, Money, exponent, minor_to_decimal
from domain.saga import SagaRequest
from domain.sandbox import NO_FAULTS, Faults

AccountId = Annotated[str, Field(description="account UUID", min_length=1, max_length=64)]
AssetCode = Annotated[str, Field(description="ISO 4217 code or token symbol", max_length=8)]
AccountType = Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]


@dataclass(frozen=True, kw_only=True)
class OpenAccountRequest(SagaRequest):
    """Open an account. Its name and metadata stay in the database.

    `limits` are by asset code. `sandbox` tells the sandbox `kyc` how to behave.
    """

    user_uuid: Annotated[str, Field(min_length=1, max_length=64)]
    type: AccountType = "checking"
    base_currency: str = "USD"
    initial_balance_minor: Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)] = 0
    limits: dict[str, AssetLimits] = field(default_factory=dict)
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        exponent(self.base_currency)
        check_limits(self.limits)

    @property
    def kyc_faults(self) -> Faults:
        return self.sandbox.get("kyc", NO_FAULTS)

    @property
    def initial_balance(self) -> Money:
        return Money(self.initial_balance_minor, self.base_currency)


@dataclass(frozen=True, kw_only=True)
class UpdateAccountRequest(SagaRequest):
    """Change an account's details. Kept: a new `name`, new `metadata`."""

    account_uuid: AccountId
    type: AccountType | None = None
    limits: dict[str, AssetLimits] | None = None

    def __post_init__(self) -> None:
        check_limits(self.limits or {})


@dataclass(frozen=True, kw_only=True)
class FreezeAccountRequest(SagaRequest):
    """Let no money leave an account. Kept: a `reason` in words, `authorized_by`."""

    account_uuid: AccountId
    reason_code: ReasonCode = "manual_review"
    source: Literal["manual", "compliance"] = "manual"
    case_id: Annotated[str, Field(max_length=64)] | None = None


@dataclass(frozen=True, kw_only=True)
class UnfreezeAccountRequest(SagaRequest):
    """Let a frozen account be used again. Kept: a `reason` in words, `authorized_by`."""

    account_uuid: AccountId
    reason_code: ReasonCode = "review_closed"


@dataclass(frozen=True, kw_only=True)
class CloseAccountRequest(SagaRequest):
    """Close an account for good. Kept: a `reason` in words.

    Without `sweep_to_account` it must be empty; with it, what is left goes there.
    """

    account_uuid: AccountId
    sweep_to_account: AccountId | None = None
    reason_code: ReasonCode = "customer_request"

    def __post_init__(self) -> None:
        if self.account_uuid == self.sweep_to_account:
            raise SameAccount("what is left needs another account", field="sweep_to_account")


@dataclass(frozen=True)
class MoneyHolders:
    """The runs that have money of an account set aside. `more` says that there are others."""

    workflow_ids: tuple[str, ...] = ()
    more: bool = False


def balance_updated(
    change: BalanceChange, *, reason: str, related: str | None
) -> AccountBalanceUpdated:
    """Tell what one posting or hold did to a customer's balance."""
    assert change.account_id is not None, "the bank's own accounts are not told of"
    amounts = {
        "previous_balance": change.previous_minor,
        "new_balance": change.posted_minor,
        "change_amount": change.change_minor,
        "available_balance": change.available_minor,
        "reserved_balance": change.reserved_minor,
    }
    return AccountBalanceUpdated.model_validate(
        {
            "account_uuid": change.account_id,
            "asset_code": change.asset_code,
            "change_reason": reason,
            "related_transaction": related,
            "ledger_sequence": change.version,
        }
        | _both_spellings(amounts, change.asset_code)
    )


def asset_balance(asset_code: str, *, posted_minor: int, reserved_minor: int) -> AssetBalance:
    amounts = {
        "total_balance": posted_minor,
        "available_balance": posted_minor - reserved_minor,
        "reserved_balance": reserved_minor,
    }
    return AssetBalance.model_validate(
        {"asset_code": asset_code} | _both_spellings(amounts, asset_code)
    )


def _both_spellings(amounts: dict[str, int], asset_code: str) -> dict[str, str | int]:
    decimals = {name: minor_to_decimal(minor, asset_code) for name, minor in amounts.items()}
    return decimals | {f"{name}_minor": minor for name, minor in amounts.items()}

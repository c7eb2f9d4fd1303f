"""Accounts: what is asked for, and how a change of a balance is told."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from domain.catalogue import AccountBalanceUpdated
from domain.catalogue.account import AssetBalance
from domain.ledger import BalanceChange
from domain.money import AMOUNT_MINOR_MAX, Money, exponent, minor_to_decimal
from domain.saga import SagaRequest


@dataclass(frozen=True, kw_only=True)
class OpenAccountRequest(SagaRequest):
    """Open an account. Its name and metadata stay in the database."""

    user_uuid: Annotated[str, Field(min_length=1, max_length=64)]
    type: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")] = "checking"
    base_currency: str = "USD"
    initial_balance_minor: Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)] = 0

    def __post_init__(self) -> None:
        exponent(self.base_currency)

    @property
    def initial_balance(self) -> Money:
        return Money(self.initial_balance_minor, self.base_currency)


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

"""Account events: an account was opened, changed, frozen, closed, or its balance moved."""

from typing import Final, Literal, Self

from pydantic import Field

from domain.catalogue.model import (
    Count,
    DecimalText,
    EventData,
    Integer,
    JsonObject,
    Part,
    Timestamp,
)


class AccountEvent(EventData):
    category = "account"

    account_uuid: str


class AssetBalance(Part):
    """One asset of an account: `total` is posted, `reserved` of it is held, the rest available."""

    asset_code: str
    total_balance: DecimalText
    total_balance_minor: Integer
    available_balance: DecimalText
    available_balance_minor: Integer
    reserved_balance: DecimalText
    reserved_balance_minor: Integer


class AccountCreated(AccountEvent):
    event_type = "account.created"
    description = "Sent once an account is open and can be used."
    producer = "OpenAccount"

    user_uuid: str
    name: str
    type: str
    status: Literal["pending", "active", "frozen"]
    base_currency: str
    balances: tuple[AssetBalance, ...]
    metadata: JsonObject = Field(default_factory=dict)
    created_at: Timestamp
    workflow_id: str

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "account_uuid": ACCOUNT,
                "user_uuid": "019b7a10-4c5e-7d21-9f3a-6b8c0d1e2f34",
                "name": "Operating account",
                "type": "checking",
                "status": "active",
                "base_currency": "USD",
                "balances": [_all_available("500.00", 50000)],
                "created_at": "2026-01-01T12:00:00Z",
                "workflow_id": f"open_account/{ACCOUNT}",
            }
        )


class AccountUpdated(AccountEvent):
    event_type = "account.updated"
    description = "Sent when details of an account changed, with the old values and the new."
    producer = "UpdateAccount"

    changed_fields: tuple[str, ...]
    previous: JsonObject
    current: JsonObject
    updated_by: str
    metadata: JsonObject = Field(default_factory=dict)
    updated_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "account_uuid": ACCOUNT,
                "changed_fields": ["name"],
                "previous": {"name": "Operating account"},
                "current": {"name": "Operating account, Europe"},
                "updated_by": "key_01kdw3v5h04mnpzx45hy43kwjr",
                "updated_at": "2026-01-02T09:30:00Z",
            }
        )


class AccountBalanceUpdated(AccountEvent):
    event_type = "account.balance_updated"
    description = "Sent for every journal entry and every hold that changes a balance."
    producer = "every journal entry and hold"

    asset_code: str
    previous_balance: DecimalText
    previous_balance_minor: Integer
    new_balance: DecimalText
    new_balance_minor: Integer
    change_amount: DecimalText
    change_amount_minor: Integer
    change_reason: Literal[
        "incoming_transfer",
        "outgoing_transfer",
        "deposit",
        "withdrawal",
        "fee",
        "reversal",
        "compensation",
        "hold",
        "hold_release",
        "conversion",
        "interest",
    ]
    related_transaction: str | None
    available_balance: DecimalText
    available_balance_minor: Integer
    reserved_balance: DecimalText
    reserved_balance_minor: Integer
    ledger_sequence: Count
    metadata: JsonObject = Field(default_factory=dict)

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "account_uuid": ACCOUNT,
                "asset_code": "USD",
                "previous_balance": "500.00",
                "previous_balance_minor": 50000,
                "new_balance": "600.00",
                "new_balance_minor": 60000,
                "change_amount": "100.00",
                "change_amount_minor": 10000,
                "change_reason": "incoming_transfer",
                "related_transaction": "019b7a2c-11d0-7b44-8e02-5a9c3f7d6e10",
                "available_balance": "575.00",
                "available_balance_minor": 57500,
                "reserved_balance": "25.00",
                "reserved_balance_minor": 2500,
                "ledger_sequence": 42,
            }
        )


class FreezeEvent(AccountEvent):
    """Who froze an account, and why. The account's unfreezing tells it again."""

    reason: str
    authorized_by: str | None
    source: Literal["manual", "compliance"]
    case_id: str | None
    metadata: JsonObject = Field(default_factory=dict)
    frozen_at: Timestamp


class AccountFrozen(FreezeEvent):
    event_type = "account.frozen"
    description = "Sent when an account is frozen: no money leaves it until it is unfrozen."
    producer = "FreezeAccount"

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(FREEZE)


class AccountUnfrozen(FreezeEvent):
    event_type = "account.unfrozen"
    description = "Sent when a frozen account may be used again."
    producer = "UnfreezeAccount"

    unfrozen_at: Timestamp
    frozen_duration_seconds: Count

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                **FREEZE,
                "reason": "review closed without findings",
                "unfrozen_at": "2026-01-04T08:15:00Z",
                "frozen_duration_seconds": 58500,
            }
        )


class AccountClosed(AccountEvent):
    event_type = "account.closed"
    description = "Sent when an account is closed for good."
    producer = "CloseAccount"

    reason: str
    closed_by: str
    final_balances: tuple[AssetBalance, ...]
    metadata: JsonObject = Field(default_factory=dict)
    closed_at: Timestamp

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate(
            {
                "account_uuid": ACCOUNT,
                "reason": "closed at the customer's request",
                "closed_by": "key_01kdw3v5h04mnpzx45hy43kwjr",
                "final_balances": [_all_available("0.00", 0)],
                "closed_at": "2026-03-31T17:00:00Z",
            }
        )


ACCOUNT: Final = "019b7a10-4c5e-7d21-9f3a-6b8c0d1e2f35"
FREEZE: Final = {
    "account_uuid": ACCOUNT,
    "reason": "several transfers just below the reporting threshold",
    "authorized_by": "compliance officer 7",
    "source": "compliance",
    "case_id": "case_01kdyqb2m0p1xpa7z3dj8fssz5",
    "frozen_at": "2026-01-03T16:00:00Z",
}


def _all_available(total: str, total_minor: int) -> dict[str, str | int]:
    """An asset of which nothing is held."""
    return {
        "asset_code": "USD",
        "total_balance": total,
        "total_balance_minor": total_minor,
        "available_balance": total,
        "available_balance_minor": total_minor,
        "reserved_balance": "0.00",
        "reserved_balance_minor": 0,
    }


EVENTS: Final[tuple[type[EventData], ...]] = (
    AccountCreated,
    AccountUpdated,
    AccountBalanceUpdated,
    AccountFrozen,
    AccountUnfrozen,
    AccountClosed,
)

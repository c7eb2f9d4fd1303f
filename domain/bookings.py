"""Bookings: what a saga may ask of the books for a customer, whatever its business is."""

from dataclasses import dataclass

from domain.errors import SameAccount
from domain.money import Money


@dataclass(frozen=True)
class MoneyHold:
    """Money of one account to set aside. `id` is the hold's: placed twice is placed once."""

    id: str
    account_id: str
    money: Money


@dataclass(frozen=True)
class Settlement:
    """What becomes of a hold: its money goes to another account."""

    hold: MoneyHold
    to_account: str

    def __post_init__(self) -> None:
        _check_differ(self.hold.account_id, self.to_account)


@dataclass(frozen=True)
class MoneyMove:
    """Money to move at once, and back if the saga turns back: the receiver must still have it."""

    from_account: str
    to_account: str
    money: Money

    def __post_init__(self) -> None:
        _check_differ(self.from_account, self.to_account)


def _check_differ(one: str, other: str) -> None:
    if one == other:
        raise SameAccount("money moves between two different accounts", field="to_account")

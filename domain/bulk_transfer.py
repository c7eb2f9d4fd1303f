"""Bulk transfers: one account pays many, all of them or as many as it can."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from domain.account import AccountId, AssetCode
from domain.errors import SameAccount
from domain.money import AmountText, Money, parse_amount
from domain.reversal import ReverseTransferRequest
from domain.saga import SagaRequest
from domain.sandbox import Faults
from domain.transfer import TransferRequest

Policy = Literal["all_or_nothing", "best_effort"]


@dataclass(frozen=True, kw_only=True)
class BulkItem:
    """One payment of many. Its reference is kept: `references`, in the order of the items."""

    to_account: AccountId
    amount: AmountText


@dataclass(frozen=True, kw_only=True)
class BulkTransferRequest(SagaRequest):
    """Pay many from one account, `at_once` of them at a time.

    `all_or_nothing` pays back what was paid as soon as one fails; `best_effort` makes what can be
    made, and fails only if nothing could.
    """

    from_account: AccountId
    items: Annotated[tuple[BulkItem, ...], Field(min_length=1, max_length=100)]
    asset_code: AssetCode = "USD"
    policy: Policy = "all_or_nothing"
    at_once: Annotated[int, Field(ge=1, le=20)] = 5
    rail: str = "internal"
    sandbox: dict[str, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for item in self.items:
            if item.to_account == self.from_account:
                raise SameAccount("nobody pays themselves", field="items")
        assert self.total

    @property
    def total(self) -> Money:
        amounts = (parse_amount(item.amount, self.asset_code) for item in self.items)
        return Money(sum(money.amount_minor for money in amounts), self.asset_code)

    @property
    def transfer_ids(self) -> list[str]:
        return [f"{self.id}-{number}" for number in range(1, len(self.items) + 1)]

    def transfer(self, number: int) -> TransferRequest:
        """The transfer of item `number`, from 1."""
        item = self.items[number - 1]
        return TransferRequest(
            id=f"{self.id}-{number}",
            from_account=self.from_account,
            to_account=item.to_account,
            amount=item.amount,
            asset_code=self.asset_code,
            rail=self.rail,
            sandbox=self.sandbox,
        )

    def reversal(self, number: int) -> ReverseTransferRequest:
        """What pays that transfer back, with its fee."""
        return ReverseTransferRequest(
            id=f"{self.id}-{number}-back",
            transfer_uuid=f"{self.id}-{number}",
            reason_code="bulk_transfer_failed",
            refund_fee=True,
        )


@dataclass(frozen=True)
class BulkOutcome:
    """What came of every item: None where it completed, else why it did not."""

    bulk: BulkTransferRequest
    failures: tuple[str | None, ...]

    @property
    def completed(self) -> int:
        return self.failures.count(None)

"""Loyalty bonus: the bank pays a customer a bonus, and a fee to whoever brought them.

    hold bonus ──► pay referrer ──► settle bonus ★
        │               │                │
     release ◄────── take back ◄──── refused, cancelled

Settling is the pivot: before it everything is given back if anything is refused.
"""

from dataclasses import dataclass
from typing import Any

from temporalio import workflow

from activities.ports import LedgerActivities
from domain.account import AccountId, AssetCode
from domain.bookings import MoneyHold, MoneyMove, Settlement
from domain.money import AmountText, Money, parse_amount
from domain.saga import SagaRequest
from workflows.saga import Saga
from workflows.steps import Step

HOLD = Step(
    LedgerActivities.place_hold, compensation=LedgerActivities.release_hold, name="hold_bonus"
)
REFER = Step(
    LedgerActivities.move_money, compensation=LedgerActivities.move_money_back, name="pay_referrer"
)
SETTLE = Step(LedgerActivities.settle_hold, name="settle_bonus")

STEPS = (HOLD, REFER, SETTLE)


@dataclass(frozen=True, kw_only=True)
class LoyaltyBonusRequest(SagaRequest):
    """What is asked for: no personal data, as the engine keeps it."""

    from_account: AccountId
    to_account: AccountId
    referrer_account: AccountId
    amount: AmountText
    referral_fee: AmountText = "10.00"
    asset_code: AssetCode = "USD"

    def __post_init__(self) -> None:
        assert self.money  # Refuses an amount that is none.
        assert self.fee

    @property
    def money(self) -> Money:
        return parse_amount(self.amount, self.asset_code)

    @property
    def fee(self) -> Money:
        return parse_amount(self.referral_fee, self.asset_code)


EXAMPLE = LoyaltyBonusRequest(
    from_account="0199c5a2-0000-7000-8000-000000000001",
    to_account="0199c5a2-0000-7000-8000-000000000002",
    referrer_account="0199c5a2-0000-7000-8000-000000000003",
    amount="50.00",
)


@workflow.defn(name="loyalty_bonus")
class LoyaltyBonus:
    @workflow.run
    async def run(self, request: LoyaltyBonusRequest) -> dict[str, Any]:
        hold = MoneyHold(f"{request.id}/hold", request.from_account, request.money)
        fee = MoneyMove(request.from_account, request.referrer_account, request.fee)
        async with Saga(STEPS, subject=("loyalty_bonus", request.id)) as saga:
            await saga.run(HOLD, hold)
            await saga.run(REFER, fee)
            await saga.pivot(SETTLE, Settlement(hold, request.to_account))
            saga.result = {"settled_minor": hold.money.amount_minor}
        return saga.result

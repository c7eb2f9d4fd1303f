"""Flawed: pays a referrer before it asks for the money, and never takes it back.

    pay referrer ──► hold ──► settle ★
                       │         │
                    release ◄─ refused

Whoever makes a debit must say how it is undone.
"""

from dataclasses import dataclass
from typing import Any

from temporalio import workflow

from activities.ports import LedgerActivities
from domain.bookings import MoneyHold, MoneyMove, Settlement
from domain.money import Money
from domain.saga import SagaRequest
from workflows.saga import Saga
from workflows.steps import Step

PAY = Step(LedgerActivities.move_money, name="pay_referrer")
HOLD = Step(LedgerActivities.place_hold, compensation=LedgerActivities.release_hold)
SETTLE = Step(LedgerActivities.settle_hold)

STEPS = (PAY, HOLD, SETTLE)


@dataclass(frozen=True, kw_only=True)
class FlawedRequest(SagaRequest):
    from_account: str
    to_account: str
    referrer_account: str


EXAMPLE = FlawedRequest(
    from_account="0199c5a2-0000-7000-8000-000000000001",
    to_account="0199c5a2-0000-7000-8000-000000000002",
    referrer_account="0199c5a2-0000-7000-8000-000000000003",
)


@workflow.defn(name="flawed")
class Flawed:
    @workflow.run
    async def run(self, request: FlawedRequest) -> dict[str, Any]:
        hold = MoneyHold(f"{request.id}/hold", request.from_account, Money(5_000, "USD"))
        fee = MoneyMove(request.from_account, request.referrer_account, Money(100, "USD"))
        async with Saga(STEPS, subject=("flawed", request.id)) as saga:
            await saga.run(PAY, fee)
            await saga.run(HOLD, hold)
            await saga.pivot(SETTLE, Settlement(hold, request.to_account))
        return saga.result

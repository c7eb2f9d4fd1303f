"""Withdrawal: money that leaves the bank from an account, over a rail.

    open ──► hold ──► ask rail ──► await ──► post ★
      │        │         │           │
     fail ◄─ release ◄─ recall ◄── refused, expired, cancelled

The hold is given back only once the rail is known not to pay: never before, or the money would
be there twice. The account is debited, from its hold, when the rail has confirmed.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow

from activities.ports import PaymentActivities
from domain.payment import WithdrawalRequest
from workflows.saga import Saga
from workflows.steps import Step

OPEN = Step(PaymentActivities.open_withdrawal, compensation=PaymentActivities.fail_payment)
HOLD = Step(PaymentActivities.hold_withdrawal, compensation=PaymentActivities.release_withdrawal)
ASK = Step(
    PaymentActivities.ask_rail,
    compensation=PaymentActivities.recall_payment,
    outside=True,
    undo_first=True,  # While it is not known to be recalled, the hold stays.
    attempts_max=5,
)
AWAIT = Step(PaymentActivities.await_payment, outside=True)
POST = Step(PaymentActivities.post_withdrawal)

STEPS = (OPEN, HOLD, ASK, AWAIT, POST)
EXAMPLE = WithdrawalRequest(account_uuid="0199c5a2-0000-7000-8000-000000000001", amount="25.00")


@workflow.defn(name="withdrawal")
class Withdrawal:
    @workflow.run
    async def run(self, request: WithdrawalRequest) -> dict[str, Any]:
        window = timedelta(seconds=request.expires_in_s) if request.expires_in_s else None
        async with Saga(STEPS, subject=("payment", request.id), deadline=window) as saga:
            await saga.run(OPEN, request)
            await saga.run(HOLD, request)
            reference = await saga.run(ASK, request)
            await saga.run(AWAIT, request)
            await saga.pivot(POST, request)
            saga.result = {"payment_uuid": request.id, "rail_reference": reference}
        return saga.result

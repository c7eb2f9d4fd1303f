"""Deposit: money that a rail collects elsewhere and brings to an account.

    open ──► check payee ──► ask rail ──► await ──► post ★
      │                         │           │
     fail ◄────────────────── recall ◄─── refused, expired, cancelled

Nothing is credited before the rail has confirmed. An account that was frozen meanwhile gets
nothing: the rail gives the money back to where it came from.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow

from activities.ports import PaymentActivities
from domain.payment import DepositRequest
from workflows.saga import Saga
from workflows.steps import Step

OPEN = Step(PaymentActivities.open_deposit, compensation=PaymentActivities.fail_payment)
CHECK = Step(PaymentActivities.check_payee)
ASK = Step(
    PaymentActivities.ask_rail,
    compensation=PaymentActivities.recall_payment,
    outside=True,
    attempts_max=5,
)
AWAIT = Step(PaymentActivities.await_payment, outside=True)
POST = Step(PaymentActivities.post_deposit)

STEPS = (OPEN, CHECK, ASK, AWAIT, POST)
EXAMPLE = DepositRequest(account_uuid="0199c5a2-0000-7000-8000-000000000001", amount="250.00")


@workflow.defn(name="deposit")
class Deposit:
    @workflow.run
    async def run(self, request: DepositRequest) -> dict[str, Any]:
        window = timedelta(seconds=request.expires_in_s) if request.expires_in_s else None
        async with Saga(STEPS, subject=("payment", request.id), deadline=window) as saga:
            await saga.run(OPEN, request)
            await saga.run(CHECK, request)
            reference = await saga.run(ASK, request)
            await saga.run(AWAIT, request)
            await saga.pivot(POST, request)
            saga.result = {"payment_uuid": request.id, "rail_reference": reference}
        return saga.result

"""Reverse transfer: pay a completed transfer back, if the recipient still has the money.

    open ──► hold what was received ──► pay back and link ★
      │                │                        │
     fail ◄───────── release ◄──────────── refused, cancelled

The recipient's money is held first: who has spent it is refused with insufficient_funds, and
nothing has happened that would have to be taken back.
"""

from typing import Any

from temporalio import workflow

from activities.ports import ReversalActivities
from domain.reversal import ReverseTransferRequest
from workflows.saga import Saga
from workflows.steps import Step

OPEN = Step(ReversalActivities.open_reversal, compensation=ReversalActivities.fail_reversal)
HOLD = Step(ReversalActivities.hold_received, compensation=ReversalActivities.release_received)
PAY_BACK = Step(ReversalActivities.pay_back)

STEPS = (OPEN, HOLD, PAY_BACK)
EXAMPLE = ReverseTransferRequest(transfer_uuid="0199c5a2-0000-7000-8000-0000000000f1")


@workflow.defn(name="reverse_transfer")
class ReverseTransfer:
    @workflow.run
    async def run(self, request: ReverseTransferRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("transfer", request.transfer_uuid)) as saga:
            await saga.run(OPEN, request)
            await saga.run(HOLD, request)
            paid = await saga.pivot(PAY_BACK, request)
            saga.result = {"reversal_transfer_uuid": request.id, **paid}
        return saga.result

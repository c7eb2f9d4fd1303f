"""Unfreeze account: let a frozen account be used again.

    lift flag ──► record ★
        │           │
    put back ◄── cancelled

The row of the freeze stays: it says who placed it, and who lifted it.
"""

from typing import Any

from temporalio import workflow

from activities.ports import FreezeActivities
from domain.account import UnfreezeAccountRequest
from workflows.saga import Saga
from workflows.steps import Step

LIFT = Step(FreezeActivities.lift_freeze, compensation=FreezeActivities.put_freeze_back)
RECORD = Step(FreezeActivities.record_unfreeze)

STEPS = (LIFT, RECORD)
EXAMPLE = UnfreezeAccountRequest(account_uuid="0199c5a2-0000-7000-8000-000000000001")


@workflow.defn(name="unfreeze_account")
class UnfreezeAccount:
    @workflow.run
    async def run(self, request: UnfreezeAccountRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("account", request.account_uuid)) as saga:
            await saga.run(LIFT, request)
            await saga.pivot(RECORD, request)
            saga.result = {"account_uuid": request.account_uuid}
        return saga.result

"""Freeze account: let no money leave it, and call off what is about to.

    place flag ──► record ★ ──► find what holds its money ──► (cancel each)
        │            │
      remove ◄──── cancelled

From the flag on, every step that would take money is refused. What had set money aside before is
asked to turn back once the freeze is certain: a transfer that was called off cannot be called on.
"""

from typing import Any

from temporalio import workflow

from activities.ports import FreezeActivities
from domain.account import FreezeAccountRequest
from workflows.calling_off import call_off
from workflows.saga import Saga
from workflows.steps import Step

PLACE = Step(FreezeActivities.place_freeze, compensation=FreezeActivities.remove_freeze)
RECORD = Step(FreezeActivities.record_freeze)
FIND = Step(FreezeActivities.find_money_holders)

STEPS = (PLACE, RECORD, FIND)
EXAMPLE = FreezeAccountRequest(
    account_uuid="0199c5a2-0000-7000-8000-000000000001", source="compliance", case_id="case_example"
)


@workflow.defn(name="freeze_account")
class FreezeAccount:
    @workflow.run
    async def run(self, request: FreezeAccountRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("account", request.account_uuid)) as saga:
            await saga.run(PLACE, request)
            await saga.pivot(RECORD, request)
            holders = await saga.run(FIND, request)
            await call_off(holders.workflow_ids)
            saga.result = {
                "account_uuid": request.account_uuid,
                "called_off": list(holders.workflow_ids),
                "more": holders.more,
            }
        return saga.result

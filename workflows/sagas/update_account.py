"""Update account: change its details; every change is a version of its own.

    write version ──► confirm ★
         │               │
      restore ◄───── cancelled

A new name and new metadata never come here: they wait, kept, beside the run.
"""

from typing import Any

from temporalio import workflow

from activities.ports import AccountChangeActivities
from domain.account import UpdateAccountRequest
from workflows.saga import Saga
from workflows.steps import Step

WRITE = Step(
    AccountChangeActivities.write_version, compensation=AccountChangeActivities.restore_version
)
CONFIRM = Step(AccountChangeActivities.confirm_version)

STEPS = (WRITE, CONFIRM)
EXAMPLE = UpdateAccountRequest(account_uuid="0199c5a2-0000-7000-8000-000000000001", type="savings")


@workflow.defn(name="update_account")
class UpdateAccount:
    @workflow.run
    async def run(self, request: UpdateAccountRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("account", request.account_uuid)) as saga:
            written = await saga.run(WRITE, request)
            await saga.pivot(CONFIRM, request)
            saga.result = {"account_uuid": request.account_uuid, **written}
        return saga.result

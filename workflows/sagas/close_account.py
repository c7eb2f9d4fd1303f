"""Close account: for good, and with nothing left in it.

    set rest aside ──► revoke mandates ──► sweep and close ★
          │                  │                   │
       release ◄───────── restore ◄─────────── refused, cancelled

The rest is held, not moved, until the account closes: so there is no way back that could fail.
Without an account to sweep to, an account with money in it is refused.
"""

from typing import Any

from temporalio import workflow

from activities.ports import ClosingActivities
from domain.account import CloseAccountRequest
from workflows.saga import Saga
from workflows.steps import Step

SET_ASIDE = Step(ClosingActivities.set_aside_rest, compensation=ClosingActivities.release_rest)
REVOKE = Step(ClosingActivities.revoke_mandates, compensation=ClosingActivities.restore_mandates)
CLOSE = Step(ClosingActivities.close_account)

STEPS = (SET_ASIDE, REVOKE, CLOSE)
EXAMPLE = CloseAccountRequest(
    account_uuid="0199c5a2-0000-7000-8000-000000000001",
    sweep_to_account="0199c5a2-0000-7000-8000-000000000002",
)


@workflow.defn(name="close_account")
class CloseAccount:
    @workflow.run
    async def run(self, request: CloseAccountRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("account", request.account_uuid)) as saga:
            await saga.run(SET_ASIDE, request)
            await saga.run(REVOKE, request)
            await saga.pivot(CLOSE, request)
            saga.result = {"account_uuid": request.account_uuid}
        return saga.result

"""Open account: make an account in the books, put its first money in, let it be used.

    create ──► deposit ──► activate ★
       │          │            │
     close ◄── withdraw ◄── refused, cancelled

Until it is activated nobody can use the account; a failure leaves it closed and empty.
"""

from typing import Any

from temporalio import workflow

from activities.ports import AccountActivities
from domain.account import OpenAccountRequest
from workflows.saga import Saga
from workflows.steps import Step

CREATE = Step(AccountActivities.create_account, compensation=AccountActivities.discard_account)
DEPOSIT = Step(AccountActivities.initial_deposit, compensation=AccountActivities.withdraw_deposit)
ACTIVATE = Step(AccountActivities.activate_account)

STEPS = (CREATE, DEPOSIT, ACTIVATE)
EXAMPLE = OpenAccountRequest(
    user_uuid="0199c5a2-0000-7000-8000-00000000000a", initial_balance_minor=50_000
)


@workflow.defn(name="open_account")
class OpenAccount:
    @workflow.run
    async def run(self, request: OpenAccountRequest) -> dict[str, Any]:
        planned = STEPS if request.initial_balance_minor else (CREATE, ACTIVATE)
        async with Saga(planned, subject=("account", request.id)) as saga:
            await saga.run(CREATE, request)
            if request.initial_balance_minor:
                await saga.run(DEPOSIT, request)
            await saga.pivot(ACTIVATE, request)
            saga.result = {"account_uuid": request.id}
        return saga.result

"""Open account: make an account in the books, know its owner, let it be used.

    create ──► verify owner ──► set limits ──► deposit ──► activate ★
       │            │               │             │            │
     close ◄──── refused ◄────── remove ◄───── withdraw ◄── refused, cancelled

Until it is activated nobody can use the account; a failure leaves it closed and empty.
"""

from typing import Any

from temporalio import workflow

from activities.ports import AccountActivities
from domain.account import OpenAccountRequest
from domain.account_limits import AssetLimits
from workflows.saga import Saga
from workflows.steps import Step

CREATE = Step(AccountActivities.create_account, compensation=AccountActivities.discard_account)
VERIFY = Step(AccountActivities.verify_owner, outside=True, attempts_max=5)
LIMIT = Step(AccountActivities.set_limits, compensation=AccountActivities.remove_limits)
DEPOSIT = Step(AccountActivities.initial_deposit, compensation=AccountActivities.withdraw_deposit)
ACTIVATE = Step(AccountActivities.activate_account)

STEPS = (CREATE, VERIFY, LIMIT, DEPOSIT, ACTIVATE)
EXAMPLE = OpenAccountRequest(
    user_uuid="0199c5a2-0000-7000-8000-00000000000a",
    initial_balance_minor=50_000,
    limits={"USD": AssetLimits(per_transfer_minor=1_000_000, per_day_minor=5_000_000)},
)


@workflow.defn(name="open_account")
class OpenAccount:
    @workflow.run
    async def run(self, request: OpenAccountRequest) -> dict[str, Any]:
        left_out = set() if request.limits else {LIMIT}
        left_out |= set() if request.initial_balance_minor else {DEPOSIT}
        planned = [step for step in STEPS if step not in left_out]
        async with Saga(planned, subject=("account", request.id)) as saga:
            await saga.run(CREATE, request)
            await saga.run(VERIFY, request)
            if request.limits:
                await saga.run(LIMIT, request)
            if request.initial_balance_minor:
                await saga.run(DEPOSIT, request)
            await saga.pivot(ACTIVATE, request)
            saga.result = {"account_uuid": request.id}
        return saga.result

"""Open position: an account's tokens into a DeFi protocol, and what is borrowed against them out.

    assess ──► lock ──► approve ──► supply ──► register ──► settle ★
       │         │         │           │           │
    abandon ◄─ unlock ◄─ revoke ◄─ withdraw ◄─ deregister ◄─ refused, cancelled

Settling is the pivot: before it the tokens are only locked here, whatever the protocol has, and
they are unlocked only once it is known not to have them any more.
"""

from typing import Any

from temporalio import workflow

from activities.ports import PositionOpeningActivities
from domain.position import AssessedPosition, OpenPositionRequest, SuppliedPosition
from workflows.saga import Saga
from workflows.steps import Step

ASSESS = Step(
    PositionOpeningActivities.assess_position,
    compensation=PositionOpeningActivities.abandon_position,
    outside=True,
    attempts_max=5,
)
LOCK = Step(
    PositionOpeningActivities.lock_stake, compensation=PositionOpeningActivities.unlock_stake
)
APPROVE = Step(
    PositionOpeningActivities.approve_protocol,
    compensation=PositionOpeningActivities.revoke_protocol,
    outside=True,
    attempts_max=5,
)
SUPPLY = Step(
    PositionOpeningActivities.supply_protocol,
    compensation=PositionOpeningActivities.withdraw_supply,
    outside=True,
    undo_first=True,  # While the protocol may have the tokens, they stay locked.
    attempts_max=5,
)
REGISTER = Step(
    PositionOpeningActivities.register_position,
    compensation=PositionOpeningActivities.deregister_position,
)
SETTLE = Step(PositionOpeningActivities.settle_stake)

STEPS = (ASSESS, LOCK, APPROVE, SUPPLY, REGISTER, SETTLE)
EXAMPLE = OpenPositionRequest(
    account_uuid="0199c5a2-0000-7000-8000-000000000001",
    type="borrow",
    amount="1.00",
    asset_code="ETH",
    borrow_amount="1000.00",
    borrow_asset="USDC",
)


@workflow.defn(name="open_position")
class OpenPosition:
    @workflow.run
    async def run(self, request: OpenPositionRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("position", request.position_id)) as saga:
            assessed = AssessedPosition(request, await saga.run(ASSESS, request))
            await saga.run(LOCK, assessed)
            await saga.run(APPROVE, assessed)
            supplied = SuppliedPosition(request, await saga.run(SUPPLY, assessed))
            await saga.run(REGISTER, supplied)
            await saga.pivot(SETTLE, supplied)
            saga.result = {"position_id": request.position_id, "tx_hash": supplied.tx_hash}
        return saga.result

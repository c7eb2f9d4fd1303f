"""Close position: out of a DeFi protocol again, and what was borrowed paid back.

    lock ──► withdraw ★ ──► credit what came back
      │          │
    unlock ◄── refused

What was withdrawn on a chain stays withdrawn, so that is the pivot: an answer that is lost is
asked for again. In a liquidation the protocol keeps what it is owed, and the account pays nothing.
"""

from typing import Any

from temporalio import workflow

from activities.ports import PositionClosingActivities
from domain.position import ClosePositionRequest, ClosingPosition, WithdrawnPosition
from workflows.saga import Saga
from workflows.steps import Step

LOCK = Step(
    PositionClosingActivities.lock_position,
    compensation=PositionClosingActivities.unlock_position,
)
WITHDRAW = Step(PositionClosingActivities.withdraw_position, outside=True)
CREDIT = Step(PositionClosingActivities.credit_returned)

STEPS = (LOCK, WITHDRAW, CREDIT)
EXAMPLE = ClosePositionRequest(position_id="pos_0199c5a2-0000-7000-8000-000000000004")


@workflow.defn(name="close_position")
class ClosePosition:
    @workflow.run
    async def run(self, request: ClosePositionRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("position", request.position_id)) as saga:
            position = await saga.run(LOCK, request)
            closing = ClosingPosition(request, position)
            withdrawn = await saga.pivot(WITHDRAW, closing)
            await saga.run(CREDIT, WithdrawnPosition(closing, withdrawn))
            saga.result = {
                "position_id": request.position_id,
                "tx_hash": withdrawn.tx_hash,
                "returned_minor": withdrawn.returned_minor,
                "asset_code": position.money.asset_code,
            }
        return saga.result

"""Harvest yield: claim what a position earned, charge for it, and put it in again or pay it out.

    estimate ──► claim ★ ──► [fee] ──► [reinvest] ──► credit
        │                                  │             ▲
     not worth its gas ──► nothing         └── refused ──┘

What was claimed on a chain stays claimed, so that is the pivot: after it the account gets the
rewards one way or the other, however long that takes.
"""

from dataclasses import replace
from typing import Any

from temporalio import workflow

from activities.ports import HarvestActivities
from domain.harvest import Harvest, HarvestedPosition, HarvestYieldRequest
from workflows.saga import Saga
from workflows.steps import Step

ESTIMATE = Step(HarvestActivities.estimate_rewards, outside=True, attempts_max=5)
CLAIM = Step(HarvestActivities.claim_rewards, outside=True)
FEE = Step(HarvestActivities.charge_fee)
REINVEST = Step(HarvestActivities.reinvest_rewards, outside=True)
CREDIT = Step(HarvestActivities.credit_rewards)

STEPS = (ESTIMATE, CLAIM, FEE, REINVEST, CREDIT)
EXAMPLE = HarvestYieldRequest(position_id="pos_0199c5a2-0000-7000-8000-000000000004")
EXAMPLES = (replace(EXAMPLE, reinvest=True),)


@workflow.defn(name="harvest_yield")
class HarvestYield:
    @workflow.run
    async def run(self, request: HarvestYieldRequest) -> dict[str, Any]:
        planned = [step for step in STEPS if request.reinvest or step is not REINVEST]
        async with Saga(planned, subject=("harvest", request.harvest_id)) as saga:
            position = await saga.run(ESTIMATE, request)
            claimed = await saga.pivot(CLAIM, HarvestedPosition(request, position))
            harvest = Harvest(request, position, claimed)
            if harvest.fee.amount_minor:
                await saga.run(FEE, harvest)
            if request.reinvest:
                harvest = replace(harvest, reinvested=await saga.run(REINVEST, harvest))
            await saga.run(CREDIT, harvest)
            saga.result = {
                "harvest_id": request.harvest_id,
                "tx_hash": claimed.tx_hash,
                "net_minor": harvest.net.amount_minor,
                "reinvested": harvest.reinvested,
            }
        return saga.result

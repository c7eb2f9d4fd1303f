"""Travel rule check: may this transfer be made, by what is known of both sides?

    find missing data ──► screen originator ──┐
                     └──► screen beneficiary ─┴──► decide ★

The three look, and change nothing: there is nothing to undo. The jurisdiction's threshold says
what must be known of both sides. Whatever the answer is, the check completes, and tells it.
"""

from typing import Any

from temporalio import workflow

from activities.ports import TravelRuleActivities
from domain.travel_rule import CheckFacts, ScreeningRequest, TravelRuleRequest
from workflows.saga import Saga
from workflows.steps import Step, named

FIND = Step(TravelRuleActivities.find_missing_data)
SCREEN = Step(TravelRuleActivities.screen_party, outside=True, attempts_max=5)
ORIGINATOR = named(SCREEN, "screen_originator")
BENEFICIARY = named(SCREEN, "screen_beneficiary")
DECIDE = Step(TravelRuleActivities.decide_check)

STEPS = (FIND, ORIGINATOR, BENEFICIARY, DECIDE)
EXAMPLE = TravelRuleRequest(
    transfer_uuid="0199c5a2-0000-7000-8000-0000000000f1",
    from_account="0199c5a2-0000-7000-8000-000000000001",
    to_account="0199c5a2-0000-7000-8000-000000000002",
    amount="4200.00",
    asset_code="USD",
)


@workflow.defn(name="travel_rule_check")
class TravelRuleCheck:
    @workflow.run
    async def run(self, check: TravelRuleRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("transfer", check.transfer_uuid)) as saga:
            missing = await saga.run(FIND, check)
            originator, beneficiary = await saga.together(
                saga.run(ORIGINATOR, ScreeningRequest(check, "originator")),
                saga.run(BENEFICIARY, ScreeningRequest(check, "beneficiary")),
            )
            facts = CheckFacts(check, missing, originator, beneficiary)
            verdict = await saga.pivot(DECIDE, facts)
            saga.result = {
                "check_id": f"trc_{check.id}",
                "is_compliant": verdict.is_compliant,
                "refusal": verdict.refusal,
                "issues": [issue.code for issue in verdict.issues],
            }
        return saga.result

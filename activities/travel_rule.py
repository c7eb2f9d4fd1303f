"""Check transfers against the travel rule. Personal data is read here, and goes to the provider."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.connectors.sanctions import Party, Sanctions, Screening
from activities.ports import TravelRuleActivities
from activities.steps import Steps, Unit
from domain.catalogue import TravelRuleCheckCompleted
from domain.money import minor_to_decimal
from domain.saga import SagaInfo, StepCall
from domain.travel_rule import (
    VALID_FOR,
    CheckFacts,
    MissingData,
    Screened,
    ScreeningRequest,
    Side,
    ThresholdFacts,
    TravelRuleRequest,
    Verdict,
    analyse,
    decide,
    missing_fields,
)
from runtime.database import Database
from storage import parties
from storage.travel_rule_tables import TravelRuleCheck
from storage.types import utc_now


class ScreenedTravelRuleActivities(TravelRuleActivities):
    def __init__(self, database: Database, steps: Steps, sanctions: Sanctions) -> None:
        self._database = database
        self._steps = steps
        self._sanctions = sanctions

    @activity.defn
    async def find_missing_data(self, call: StepCall[TravelRuleRequest]) -> MissingData:
        return await self._steps.perform(call, _find_missing)

    @activity.defn
    async def screen_party(self, call: StepCall[ScreeningRequest]) -> Screened:
        check, side = call.request.check, call.request.side

        async def screen() -> Screening:
            async with self._database.read() as session:
                known = await _known(session, call.saga, check, side)
            party = Party(_account(check, side), known.get("name"))
            return await self._sanctions.screen(call.key, party, check.faults(side))

        return await self._steps.perform_outside(call, screen, _screened)

    @activity.defn
    async def decide_check(self, call: StepCall[CheckFacts]) -> Verdict:
        return await self._steps.perform(call, _decide)


async def _find_missing(unit: Unit, call: StepCall[TravelRuleRequest]) -> MissingData:
    check = call.request
    facts = analyse(check.money, check.jurisdiction)
    originator = await _known(unit.session, call.saga, check, "originator")
    beneficiary = await _known(unit.session, call.saga, check, "beneficiary")
    return MissingData(missing_fields(facts, originator), missing_fields(facts, beneficiary))


async def _known(
    session: AsyncSession, saga: SagaInfo, check: TravelRuleRequest, side: Side
) -> dict[str, str]:
    """What the sender said of this side with the transfer, and what the bank knows itself."""
    own = await parties.known_of(session, saga.tenant_id, _account(check, side))
    return own | await parties.said_of(session, saga, side)


def _account(check: TravelRuleRequest, side: Side) -> str:
    return check.from_account if side == "originator" else check.to_account


async def _screened(unit: Unit, call: StepCall[ScreeningRequest], found: Screening) -> Screened:
    return Screened(found.cleared, found.provider)


async def _decide(unit: Unit, call: StepCall[CheckFacts]) -> Verdict:
    check, now = call.request.check, utc_now()
    facts = analyse(check.money, check.jurisdiction)
    verdict = decide(call.request, facts)
    row = TravelRuleCheck(
        id=f"trc_{check.id}",
        tenant_id=call.saga.tenant_id,
        transfer_id=check.transfer_uuid,
        jurisdiction=facts.jurisdiction,
        amount_usd_minor=facts.usd_minor,
        is_compliant=verdict.is_compliant,
        risk_level=verdict.risk_level,
        issues=[_issue(issue) for issue in verdict.issues],
        workflow_id=call.saga.workflow_id,
        checked_at=now,
        valid_until=now + VALID_FOR,
    )
    unit.session.add(row)
    unit.tell(_completed(row, call.request, facts))
    return verdict


def _completed(
    row: TravelRuleCheck, found: CheckFacts, facts: ThresholdFacts
) -> TravelRuleCheckCompleted:
    usd_minor = facts.usd_minor
    return TravelRuleCheckCompleted.model_validate(
        {
            "check_id": row.id,
            "transfer_id": row.transfer_id,
            "is_compliant": row.is_compliant,
            "risk_level": row.risk_level,
            "applicable_jurisdiction": facts.jurisdiction,
            "threshold_analysis": {
                "amount_usd": None if usd_minor is None else minor_to_decimal(usd_minor, "USD"),
                "exceeds_threshold": facts.exceeds,
                "threshold_amount": facts.threshold.decimal,
                "threshold_currency": facts.threshold.asset_code,
            },
            "sanctions_screening": {
                "originator_cleared": found.originator.cleared,
                "beneficiary_cleared": found.beneficiary.cleared,
                "screening_provider": found.originator.provider,
                "screened_at": row.checked_at,
            },
            "compliance_issues": row.issues,
            "checked_at": row.checked_at,
            "valid_until": row.valid_until,
        }
    )


def _issue(issue: Any) -> dict[str, str]:
    return {"code": issue.code, "description": issue.description}

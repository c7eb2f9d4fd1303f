"""Take partners on board: check, create, equip, activate; or undo all of it."""

from temporalio import activity

from activities.connectors.kyc import Kyc, Profile
from activities.connectors.sanctions import HIT, Party, Sanctions, Screening
from activities.partner_webhooks import PartnerWebhooks
from activities.ports import PartnerActivities
from activities.steps import Steps, Unit
from domain.catalogue import PartnerOnboarded
from domain.errors import AssessmentFailed, ComplianceRejected
from domain.ids import new_id
from domain.partner import TIERS
from domain.partner_onboarding import (
    ApprovedApplication,
    PartnerOnboardingRequest,
    check_documents,
    shortcomings,
)
from domain.saga import StepCall, Undone, UndoStatus
from storage import partners
from storage.access_tables import Tenant
from storage.partner_tables import Partner
from storage.partners import modules_of, tier_of
from storage.types import utc_now

Call = StepCall[PartnerOnboardingRequest]
DONE = Undone(UndoStatus.EXECUTED)


class CheckedPartnerActivities(PartnerActivities):
    """`sandbox_url` is where partners try things out."""

    def __init__(
        self,
        steps: Steps,
        kyc: Kyc,
        sanctions: Sanctions,
        webhooks: PartnerWebhooks,
        sandbox_url: str,
    ) -> None:
        self._steps = steps
        self._kyc = kyc
        self._sanctions = sanctions
        self._webhooks = webhooks
        self._sandbox_url = sandbox_url

    @activity.defn
    async def open_application(self, call: Call) -> None:
        await self._steps.perform(call, _open)

    @activity.defn
    async def reject_application(self, call: Call) -> Undone:
        return await self._steps.undo(call, _reject)

    @activity.defn
    async def check_documents(self, call: Call) -> None:
        await self._steps.perform(call, _check_documents)

    @activity.defn
    async def verify_organization(self, call: Call) -> None:
        request = call.request

        async def verify() -> Profile:
            return await self._kyc.verify(call.key, request.partner_id, request.faults("kyc"))

        await self._steps.perform_outside(call, verify, _verified)

    @activity.defn
    async def screen_organization(self, call: Call) -> None:
        request = call.request

        async def screen() -> Screening:
            party = Party(request.partner_id, request.organization_name)
            return await self._sanctions.screen(call.key, party, request.faults("sanctions"))

        await self._steps.perform_outside(call, screen, _screened)

    @activity.defn
    async def assess_partner(self, call: Call) -> None:
        async def assess(unit: Unit, call: Call) -> None:
            if found := shortcomings(call.request):
                raise AssessmentFailed(found)
            if call.request.webhook_url:
                self._webhooks.check(call.request.webhook_url)
            await partners.tick(unit.session, call.request.partner_id, "technical_assessment")

        await self._steps.perform(call, assess)

    @activity.defn
    async def create_partner(self, call: StepCall[ApprovedApplication]) -> None:
        await self._steps.perform(call, _create)

    @activity.defn
    async def deactivate_partner(self, call: StepCall[ApprovedApplication]) -> Undone:
        return await self._steps.undo(call, _deactivate)

    @activity.defn
    async def grant_keys(self, call: Call) -> None:
        await self._steps.perform(call, _grant)

    @activity.defn
    async def revoke_keys(self, call: Call) -> Undone:
        return await self._steps.undo(call, _revoke)

    @activity.defn
    async def register_webhook(self, call: Call) -> str:
        return await self._steps.perform(call, self._webhooks.register)

    @activity.defn
    async def delete_webhook(self, call: Call) -> Undone:
        return await self._steps.undo(call, self._webhooks.delete)

    @activity.defn
    async def create_sandbox(self, call: Call) -> None:
        await self._steps.perform(call, _create_sandbox)

    @activity.defn
    async def drop_sandbox(self, call: Call) -> Undone:
        return await self._steps.undo(call, _drop_sandbox)

    @activity.defn
    async def activate_partner(self, call: Call) -> None:
        async def activate(unit: Unit, call: Call) -> None:
            request = call.request
            if request.has_sdk:
                await partners.tick(unit.session, request.partner_id, "sdk")
            row = await partners.change(
                unit.session,
                request.partner_id,
                status="active",
                onboarded_at=utc_now(),
                generation_id=request.sdk.generation_id if request.has_sdk else None,
            )
            unit.tell(_onboarded(row, self._sandbox_url))

        await self._steps.perform(call, activate)


async def _open(unit: Unit, call: Call) -> None:
    await partners.ensure_partner(unit.session, call.saga, call.request)


async def _reject(unit: Unit, call: Call) -> Undone:
    failure = call.failure
    assert failure is not None, "a compensation knows why"
    why = {"step": failure.step, "code": failure.code, "text": failure.text}
    await partners.change(unit.session, call.request.partner_id, status="rejected", failure=why)
    return DONE


async def _check_documents(unit: Unit, call: Call) -> None:
    check_documents(call.request)
    await partners.tick(unit.session, call.request.partner_id, "documents")


async def _verified(unit: Unit, call: Call, profile: Profile) -> None:
    """That it is known is all we need: nothing personal of the answer is kept."""


async def _screened(unit: Unit, call: Call, found: Screening) -> None:
    if not found.cleared:
        raise ComplianceRejected(HIT, "the organization is on a sanctions list")
    await partners.tick(unit.session, call.request.partner_id, "compliance")


async def _create(unit: Unit, call: StepCall[ApprovedApplication]) -> None:
    request = call.request.application
    terms = TIERS[request.tier]
    tenant = Tenant(
        id=new_id("ten"),
        name=request.organization_name,
        limit_per_minute=terms.requests_per_minute,
    )
    unit.session.add(tenant)
    await unit.session.flush()
    await partners.change(
        unit.session,
        request.partner_id,
        status="onboarding",
        own_tenant_id=tenant.id,
        approved_by=call.request.approved_by,
    )
    await partners.tick(unit.session, request.partner_id, "approval")


async def _deactivate(unit: Unit, call: StepCall[ApprovedApplication]) -> Undone:
    partner_id = call.request.application.partner_id
    await partners.change(unit.session, partner_id, status="deactivated")
    return DONE


async def _grant(unit: Unit, call: Call) -> None:
    row = await unit.session.get_one(Partner, call.request.partner_id)
    assert row.own_tenant_id is not None, "its tenant was made before"
    await partners.grant_key(unit.session, row.id, "live", row.own_tenant_id)


async def _revoke(unit: Unit, call: Call) -> Undone:
    await partners.revoke_grant(unit.session, call.request.partner_id, "live")
    return DONE


async def _create_sandbox(unit: Unit, call: Call) -> None:
    request = call.request
    tenant = Tenant(id=new_id("ten"), name=f"{request.organization_name} (sandbox)")
    unit.session.add(tenant)
    await unit.session.flush()
    await partners.change(unit.session, request.partner_id, sandbox_tenant_id=tenant.id)
    await partners.grant_key(unit.session, request.partner_id, "test", tenant.id)


async def _drop_sandbox(unit: Unit, call: Call) -> Undone:
    partner_id = call.request.partner_id
    row = await unit.session.get_one(Partner, partner_id, with_for_update=True)
    tenant = await unit.session.get_one(Tenant, row.sandbox_tenant_id)
    await partners.revoke_grant(unit.session, partner_id, "test")
    row.sandbox_tenant_id = None
    await unit.session.delete(tenant)
    await unit.session.flush()
    return DONE


def _onboarded(row: Partner, sandbox_url: str) -> PartnerOnboarded:
    return PartnerOnboarded.model_validate(
        {
            "partner_id": row.id,
            "organization_name": row.organization_name,
            "status": row.status,
            "tier": row.tier,
            "modules_enabled": modules_of(row),
            "rate_limits": TIERS[tier_of(row)].rate_limits,
            "sandbox_url": sandbox_url,
            "onboarding_checklist": row.checklist,
            "application_id": row.application_id,
            "onboarding_completed_at": row.onboarded_at,
        }
    )

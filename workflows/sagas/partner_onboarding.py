"""Partner onboarding: check a company, ask a person, and set up all that it needs to begin.

    apply ──► documents ──► kyc, sanctions ──► assessment ──► (approval) ──► partner ──► keys
      │                                                           │             │          │
    reject ◄────────────────────────────────────────────────── rejected   deactivate ◄── revoke

         ──► [webhook] ──► sandbox ──► [SDK: a saga] ──► activate ★
                 │            │             │                │
               delete ◄───── drop ◄─────── purge ◄─── refused, cancelled

No key exists before the partner is active: then it is made, and shown once, to whoever asks for it.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow

from activities.ports import PartnerActivities
from domain.partner_onboarding import ApprovedApplication, Document, PartnerOnboardingRequest
from workflows.saga import CHILD, Saga
from workflows.steps import Step, named

APPLY = Step(PartnerActivities.open_application, compensation=PartnerActivities.reject_application)
DOCUMENTS = Step(PartnerActivities.check_documents)
VERIFY = Step(PartnerActivities.verify_organization, outside=True, attempts_max=5)
SCREEN = Step(PartnerActivities.screen_organization, outside=True, attempts_max=5)
ASSESS = Step(PartnerActivities.assess_partner)
CREATE = Step(PartnerActivities.create_partner, compensation=PartnerActivities.deactivate_partner)
KEYS = Step(PartnerActivities.grant_keys, compensation=PartnerActivities.revoke_keys)
WEBHOOK = Step(PartnerActivities.register_webhook, compensation=PartnerActivities.delete_webhook)
SANDBOX = Step(PartnerActivities.create_sandbox, compensation=PartnerActivities.drop_sandbox)
SDK = named(CHILD, "generate_sdk")
ACTIVATE = Step(PartnerActivities.activate_partner)

STEPS = (
    *(APPLY, DOCUMENTS, VERIFY, SCREEN, ASSESS),
    *(CREATE, KEYS, WEBHOOK, SANDBOX, SDK, ACTIVATE),
)
EXAMPLE = PartnerOnboardingRequest(
    organization_name="Example Fintech Ltd",
    tier="growth",
    documents=(
        Document("certificate_of_incorporation", "2c26b46b68ffc68ff99b453c1d304134" * 2),
        Document("proof_of_address", "fcde2b2edba56bf408601fb721fe9b5c" * 2),
    ),
    webhook_url="https://hooks.example.com/sagapost",
)


@workflow.defn(name="partner_onboarding")
class PartnerOnboarding:
    @workflow.run
    async def run(self, request: PartnerOnboardingRequest) -> dict[str, Any]:
        async with Saga(_planned(request), subject=("partner", request.partner_id)) as saga:
            await saga.run(APPLY, request)
            await saga.run(DOCUMENTS, request)
            await saga.together(saga.run(VERIFY, request), saga.run(SCREEN, request))
            await saga.run(ASSESS, request)
            approval = await saga.approval(
                "partner", within=timedelta(seconds=request.approve_within_s)
            )
            await saga.run(CREATE, ApprovedApplication(request, approval.by))
            await _equip(saga, request)
            await saga.pivot(ACTIVATE, request)
            saga.result = {"partner_id": request.partner_id}
        return saga.result


async def _equip(saga: Saga, request: PartnerOnboardingRequest) -> None:
    await saga.run(KEYS, request)
    if request.webhook_url:
        await saga.run(WEBHOOK, request)
    await saga.run(SANDBOX, request)
    if request.has_sdk:
        undo = ("purge_sdk", request.sdk_purge)
        await saga.child("sdk_generation", request.sdk, step=SDK, undo=undo)


def _planned(request: PartnerOnboardingRequest) -> list[Step[Any, Any]]:
    left_out: list[Step[Any, Any]] = []
    if not request.webhook_url:
        left_out.append(WEBHOOK)
    if not request.has_sdk:
        left_out.append(SDK)
    return [step for step in STEPS if step not in left_out]

"""A partner is checked, approved by a person, and equipped; or all of it is undone."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select
from temporalio.client import WorkflowHandle

from domain.api_keys import LIVE, TEST
from domain.errors import TierNotAllowed
from domain.ids import new_uuid
from domain.operate import Approval
from domain.partner import TIERS, Tier
from domain.partner_onboarding import (
    Document,
    PartnerOnboardingRequest,
    TechnicalAnswers,
    scopes_for,
    shortcomings,
)
from domain.sandbox import Faults
from storage.access_tables import ApiKey, Tenant
from storage.partner_tables import Partner, PartnerKeyGrant, SdkGeneration
from storage.tables import Endpoint, EndpointSecret
from tests.workflows.sagas.bank import Bank, Outcome, until

CLERK = Approval(approved=True, by="key_clerk")
pytestmark = pytest.mark.slow


async def test_a_partner_is_on_board_with_all_that_it_needs(bank: Bank) -> None:
    request = an_application(tier="growth", webhook_url="https://hooks.example.com/in")

    ended = await approved(bank, request)

    told = ended.told("partner.onboarded")
    row = await bank.row(Partner, request.partner_id)
    assert ended.result == {"partner_id": request.partner_id}
    assert (told["status"], told["tier"], row.status) == ("active", "growth", "active")
    assert told["modules_enabled"] == list(TIERS["growth"].modules)
    assert told["rate_limits"] == {"requests_per_minute": 300, "requests_per_hour": 10_000}
    assert told["onboarding_checklist"] == dict.fromkeys(CHECKLIST, True)
    assert told["application_id"] == f"app_{request.id}"
    assert row.approved_by == "key_clerk"
    assert (await bank.row(Tenant, row.own_tenant_id)).limit_per_minute == 300
    assert await bank.row(Tenant, row.sandbox_tenant_id) is not None
    assert (await bank.row(Endpoint, row.webhook_id)).tenant_id == row.own_tenant_id
    assert (await bank.row(SdkGeneration, row.generation_id)).partner_id == row.id


async def test_its_sdk_is_a_saga_of_its_own_which_tells_its_own_story(bank: Bank) -> None:
    request = an_application(tier="growth")

    await approved(bank, request)

    child = await bank.outcome(f"sdk_generation/{request.sdk.id}")
    assert child.told("sdk.generated")["partner_id"] == request.partner_id


async def test_no_credentials_are_in_events_or_in_the_engine(bank: Bank) -> None:
    request = an_application(tier="growth", webhook_url="https://hooks.example.com/in")
    handle = await bank.start("partner_onboarding", request)
    await approve(bank, handle)
    ended = await bank.end_of(handle)

    written = json.dumps(ended.story) + (await handle.fetch_history()).to_json()
    for secret in (LIVE, TEST, "whsec_"):
        assert secret not in written
    async with bank.database.read() as session:
        row = await session.get_one(Partner, request.partner_id)
        tenants = (row.own_tenant_id, row.sandbox_tenant_id)
        keys = select(func.count()).select_from(ApiKey).where(ApiKey.tenant_id.in_(tenants))  # type: ignore[attr-defined]
        assert await session.scalar(keys) == 0, "no key exists before somebody is there to see it"
        secrets = select(EndpointSecret).where(EndpointSecret.endpoint_id == row.webhook_id)  # type: ignore[arg-type]
        assert b"whsec_" not in (await session.scalars(secrets)).one().sealed


async def test_a_starter_gets_no_sdk_and_without_a_url_no_webhook(bank: Bank) -> None:
    ended = await approved(bank, an_application(tier="starter"))

    assert ended.state == "completed"
    assert not {"generate_sdk", "register_webhook"} & set(
        ended.told("workflow.started")["steps_planned"]
    )
    assert "sdk" not in ended.told("partner.onboarded")["onboarding_checklist"]


@pytest.mark.parametrize(
    ("changed", "code", "step"),
    [
        ({"documents": ()}, "missing_documents", "check_documents"),
        (
            {"sandbox": {"kyc": Faults(refuse="kyc_required")}},
            "kyc_required",
            "verify_organization",
        ),
        (
            {"sandbox": {"sanctions": Faults(refuse="sanctions_hit")}},
            "sanctions_hit",
            "screen_organization",
        ),
        (
            {"technical": TechnicalAnswers(verifies_signatures=False)},
            "assessment_failed",
            "assess_partner",
        ),
        ({"webhook_url": "http://10.0.0.1/in"}, "url_refused", "assess_partner"),
    ],
)
async def test_an_applicant_that_will_not_do_is_rejected_before_anybody_is_asked(
    bank: Bank, changed: dict[str, Any], code: str, step: str
) -> None:
    request = an_application(**changed)

    ended = await bank.run("partner_onboarding", request)

    assert (ended.code, ended.told("workflow.failed")["failed_step"]) == (code, step)
    row = await bank.row(Partner, request.partner_id)
    assert (row.status, row.failure["code"], row.own_tenant_id) == ("rejected", code, None)
    assert "partner.onboarded" not in ended.types


async def test_a_person_may_say_no(bank: Bank) -> None:
    request = an_application()
    handle = await bank.start("partner_onboarding", request)
    await approve(bank, handle, replace(CLERK, approved=False))

    ended = await bank.end_of(handle)

    assert ended.code == "approval_rejected"
    assert (await bank.row(Partner, request.partner_id)).status == "rejected"


async def test_an_application_that_nobody_answers_comes_to_its_end(bank: Bank) -> None:
    request = an_application(approve_within_s=1)

    ended = await bank.run("partner_onboarding", request)

    assert ended.code == "approval_timeout"
    assert (await bank.row(Partner, request.partner_id)).status == "rejected"


async def test_an_application_can_be_called_off_while_it_waits(bank: Bank) -> None:
    request = an_application()
    handle = await bank.start("partner_onboarding", request)
    await until_asked(bank, handle)
    await handle.cancel()

    ended = await bank.end_of(handle)

    assert ended.state == "cancelled"
    assert (await bank.row(Partner, request.partner_id)).status == "rejected"


async def test_everything_is_undone_if_the_last_step_is_refused(bank: Bank) -> None:
    request = an_application(tier="growth", webhook_url="https://hooks.example.com/in")

    ended = await approved(bank, request, refuse="activate_partner")

    row = await bank.row(Partner, request.partner_id)
    assert actions(ended) == [
        "purge_sdk",
        "drop_sandbox",
        "delete_webhook",
        "revoke_keys",
        "deactivate_partner",
        "reject_application",
    ]
    assert (row.status, row.webhook_id, row.sandbox_tenant_id) == ("rejected", None, None)
    assert (await bank.row(SdkGeneration, request.sdk.generation_id)).purged_at is not None
    for mode in ("live", "test"):
        assert (await bank.row(PartnerKeyGrant, (row.id, mode))).state == "revoked"
    async with bank.database.read() as session:
        endpoints = select(Endpoint).where(Endpoint.tenant_id == row.own_tenant_id)
        assert [one.deleted_at is None for one in await session.scalars(endpoints)] == [False]


async def test_a_partner_whose_sdk_cannot_be_made_is_not_on_board(bank: Bank) -> None:
    request = an_application(tier="growth")
    bank.refusals.steps[f"sdk_generation/{request.sdk.id}/publish_sdk"] = "refused_by_test"

    ended = await approved(bank, request)

    assert (ended.code, ended.told("workflow.failed")["failed_step"]) == (
        "refused_by_test",
        "generate_sdk",
    )
    assert (await bank.row(Partner, request.partner_id)).status == "rejected"
    assert "partner.onboarded" not in ended.types


@pytest.mark.parametrize(
    ("refuse", "undone"),
    [
        ("grant_keys", ["deactivate_partner", "reject_application"]),
        ("create_sandbox", ["revoke_keys", "deactivate_partner", "reject_application"]),
    ],
)
async def test_only_what_was_done_is_undone(bank: Bank, refuse: str, undone: list[str]) -> None:
    ended = await approved(bank, an_application(), refuse=refuse)

    assert actions(ended) == undone


async def test_providers_that_do_not_answer_are_asked_again(bank: Bank) -> None:
    sandbox = {"kyc": Faults(unavailable=1), "sanctions": Faults(lose_answer=1)}

    assert (await approved(bank, an_application(sandbox=sandbox))).state == "completed"


def test_a_module_that_the_tier_does_not_include_is_refused_before_anything_starts() -> None:
    with pytest.raises(TierNotAllowed):
        an_application(tier="starter", modules=("workflows",))


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (TechnicalAnswers(), ()),
        (TechnicalAnswers(is_idempotent=False), ("is_not_idempotent",)),
        (TechnicalAnswers(requests_per_minute=61), ("asks_too_often",)),
        (TechnicalAnswers(requests_per_minute=60), ()),
    ],
)
def test_shortcomings_are_named(answers: TechnicalAnswers, found: tuple[str, ...]) -> None:
    assert shortcomings(an_application(technical=answers)) == found


def test_a_partners_keys_may_use_its_modules_and_nothing_else() -> None:
    scopes = scopes_for(("transfers", "events"))

    assert set(scopes) >= {"transfers.read", "transfers.manage", "events.read", "keys.manage"}
    assert not {"*", "accounts.read", "workflows.operate", "tenants.manage"} & set(scopes)


CHECKLIST = ("documents", "compliance", "technical_assessment", "approval", "webhook", "sdk")


def an_application(tier: Tier = "starter", **fields: Any) -> PartnerOnboardingRequest:
    documents = tuple(Document(kind, "0f" * 32) for kind in TIERS[tier].documents)
    defaults = {"organization_name": "Corner Books", "documents": documents}
    return PartnerOnboardingRequest(id=new_uuid(), tier=tier, **defaults | fields)


async def approved(bank: Bank, request: PartnerOnboardingRequest, *, refuse: str = "") -> Outcome:
    handle = await bank.start("partner_onboarding", request, refuse=refuse)
    await approve(bank, handle)
    return await bank.end_of(handle)


async def approve(bank: Bank, handle: WorkflowHandle[Any, Any], answer: Approval = CLERK) -> None:
    await until_asked(bank, handle)
    await handle.execute_update("approve", answer)


async def until_asked(bank: Bank, handle: WorkflowHandle[Any, Any]) -> None:
    async def asked() -> bool:
        return bool((await handle.query("progress"))["awaiting_approval"])

    await until(asked)


def actions(ended: Outcome) -> list[str]:
    told = ended.told_all("workflow.compensation_executed")
    return [one["action"] for event in told for one in event["compensation_actions"]]

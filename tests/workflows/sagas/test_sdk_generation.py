"""Client packages are really generated from our own document, packed, stored, and taken back."""

import hashlib
import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from api.app import document
from domain.api_document import narrowed
from domain.errors import LanguageUnsupported
from domain.ids import new_uuid
from domain.sdk import PurgeSdkRequest, SdkGenerationRequest
from storage.partner_tables import Artifact, SdkGeneration, SdkPackage
from storage.sdks import packages_of, prune_expired
from storage.types import utc_now
from tests.workflows.sagas.bank import Bank, Outcome
from tests.workflows.sagas.test_widget_deployment import a_partner

pytestmark = pytest.mark.slow


async def test_a_package_is_generated_and_told_with_its_digest(bank: Bank) -> None:
    request = an_sdk(await a_partner(bank))

    ended = await bank.run("sdk_generation", request)

    told = ended.told("sdk.generated")
    [package] = told["packages"]
    content = await content_of(bank, request)
    assert package["sha256"] == hashlib.sha256(content).hexdigest()
    assert package["size_bytes"] == len(content)
    assert (package["language"], package["package_name"]) == ("python", "sagapost-client")
    assert package["download_url"].endswith(
        f"/v2/sdks/{request.generation_id}/sagapost_client-{package['version']}-py3-none-any.whl"
    )
    assert told["modules"] == ["accounts", "transactions", "transfers", "webhooks", "events"]
    assert told["api_version"] == document()["info"]["version"]


async def test_it_is_a_wheel_of_the_chosen_modules_and_no_others(bank: Bank) -> None:
    request = an_sdk(await a_partner(bank), modules=("accounts",))

    await bank.run("sdk_generation", request)

    wheel = zipfile.ZipFile(io.BytesIO(await content_of(bank, request)))
    names = wheel.namelist()
    assert wheel.testzip() is None
    assert "sagapost_client/api/accounts/open_account.py" in names
    assert not [name for name in names if name.startswith("sagapost_client/api/transfers/")]
    assert "Requires-Dist: httpx" in wheel.read(names[-2]).decode()
    assert not [name for name in names if "cache" in name]


async def test_the_same_document_makes_the_same_bytes_and_they_are_kept_once(bank: Bank) -> None:
    partner = await a_partner(bank)
    first, second = an_sdk(partner), an_sdk(partner)

    told = [
        (await bank.run("sdk_generation", one)).told("sdk.generated") for one in (first, second)
    ]

    [digest] = {one["packages"][0]["sha256"] for one in told}
    async with bank.database.read() as session:
        assert await session.scalar(select(func.count()).where(Artifact.sha256 == digest)) == 1


@pytest.mark.parametrize("tier", ["starter"])
async def test_what_the_tier_does_not_include_is_refused(bank: Bank, tier: Any) -> None:
    ended = await bank.run("sdk_generation", an_sdk(await a_partner(bank, tier=tier)))

    assert ended.code == "tier_not_allowed"
    assert "sdk.generated" not in ended.types


async def test_a_module_that_is_not_the_tiers_is_refused(bank: Bank) -> None:
    request = an_sdk(await a_partner(bank), modules=("workflows",))

    assert (await bank.run("sdk_generation", request)).code == "tier_not_allowed"


async def test_a_partner_that_has_left_gets_no_package(bank: Bank) -> None:
    ended = await bank.run("sdk_generation", an_sdk(await a_partner(bank, status="deactivated")))

    assert ended.code == "partner_not_active"


async def test_a_generation_that_fails_deletes_what_was_built(bank: Bank) -> None:
    request = an_sdk(await a_partner(bank), modules=("transfers",))

    ended = await bank.run("sdk_generation", request, refuse="publish_sdk")

    assert ended.code == "refused_by_test"
    assert actions(ended) == ["delete_package"]
    assert "sdk.generated" not in ended.types
    assert await bank.row(SdkPackage, (request.generation_id, "python")) is None
    assert await bank.row(SdkGeneration, request.generation_id) is None


async def test_deleting_one_generation_leaves_the_other_that_made_the_same(bank: Bank) -> None:
    partner = await a_partner(bank)
    kept, failed = an_sdk(partner), an_sdk(partner)
    await bank.run("sdk_generation", kept)

    await bank.run("sdk_generation", failed, refuse="publish_sdk")

    assert await content_of(bank, kept)


async def test_a_purged_generation_is_gone_and_purging_again_changes_nothing(bank: Bank) -> None:
    request = an_sdk(await a_partner(bank), modules=("webhooks",))
    await bank.run("sdk_generation", request)
    package = await bank.row(SdkPackage, (request.generation_id, "python"))

    for _ in range(2):
        purge = PurgeSdkRequest(id=new_uuid(), sdk_generation_id=request.generation_id)
        assert (await bank.run("purge_sdk", purge)).state == "completed"

    assert (await bank.row(SdkGeneration, request.generation_id)).purged_at is not None
    assert await bank.row(Artifact, package.sha256) is None


async def test_what_has_expired_is_pruned_and_what_has_not_stays(bank: Bank) -> None:
    partner = await a_partner(bank)
    old, young = an_sdk(partner, modules=("events",)), an_sdk(partner, modules=("events",))
    for one in (old, young):
        await bank.run("sdk_generation", one)
    expired_at = utc_now() - timedelta(seconds=1)
    await bank.change(SdkGeneration, old.generation_id, expires_at=expired_at)

    pruned = await bank.database.transact(lambda session: prune_expired(session, before=utc_now()))

    assert pruned == 1
    assert await bank.row(SdkPackage, (old.generation_id, "python")) is None
    assert await content_of(bank, young)


async def test_what_never_was_cannot_be_purged(bank: Bank) -> None:
    ended = await bank.run("purge_sdk", PurgeSdkRequest(id=new_uuid(), sdk_generation_id="gen_no"))

    assert ended.code == "generation_not_found"


@pytest.mark.parametrize("language", ["typescript", "java", "cobol"])
def test_a_language_without_a_generator_that_we_run_is_refused_before_anything_starts(
    language: str,
) -> None:
    with pytest.raises(LanguageUnsupported, match=f"no client packages in {language}"):
        an_sdk("prt_1", languages=("python", language))


def test_a_narrowed_document_speaks_of_nothing_that_is_not_in_it() -> None:
    small = narrowed(document(), ("transfers",))

    text, schemas = json.dumps(small), small["components"]["schemas"]
    assert "/v2/transfers" in small["paths"]
    assert "/v2/accounts" not in small["paths"]
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in schemas
    assert len(schemas) < len(document()["components"]["schemas"]) / 2


def an_sdk(partner_id: str, **fields: Any) -> SdkGenerationRequest:
    return SdkGenerationRequest(id=new_uuid(), partner_id=partner_id, **fields)


async def content_of(bank: Bank, request: SdkGenerationRequest) -> bytes:
    async with bank.database.read() as session:
        [package] = await packages_of(session, request.generation_id)
    content: bytes = (await bank.row(Artifact, package.sha256)).content
    return content


def actions(ended: Outcome) -> list[str]:
    told = ended.told_all("workflow.compensation_executed")
    return [one["action"] for event in told for one in event["compensation_actions"]]

"""Make client packages for partners, publish them, and take them back."""

from collections.abc import Callable

from temporalio import activity

from activities.ports import SdkActivities
from activities.sdk_builds import Package, SdkBuilds
from activities.steps import Steps, Unit
from domain.catalogue import SdkGenerated
from domain.errors import PartnerNotActive
from domain.partner import Module, check_languages, check_modules
from domain.saga import StepCall, Undone, UndoStatus
from domain.sdk import (
    KEPT_FOR,
    BuiltPackage,
    Generation,
    PackageRequest,
    PurgeSdkRequest,
    SdkGenerationRequest,
)
from storage import sdks
from storage.partner_tables import SdkGeneration
from storage.partners import GONE, lock_partner, modules_of, tier_of
from storage.types import utc_now


class GeneratedSdkActivities(SdkActivities):
    """`public_url` turns a path of the API into the URL that a package is downloaded from."""

    def __init__(self, steps: Steps, builds: SdkBuilds, public_url: Callable[[str], str]) -> None:
        self._steps = steps
        self._builds = builds
        self._public_url = public_url

    @activity.defn
    async def check_sdk_tier(self, call: StepCall[SdkGenerationRequest]) -> tuple[Module, ...]:
        return await self._steps.perform(call, _check_tier)

    @activity.defn
    async def build_package(self, call: StepCall[PackageRequest]) -> BuiltPackage:
        async def build() -> Package:
            assert call.request.language == "python", "the request refused every other"
            return await self._builds.python(call.request.modules)

        return await self._steps.perform_outside(call, build, _built)

    @activity.defn
    async def delete_package(self, call: StepCall[PackageRequest]) -> Undone:
        return await self._steps.undo(call, _delete)

    @activity.defn
    async def publish_sdk(self, call: StepCall[Generation]) -> None:
        async def publish(unit: Unit, call: StepCall[Generation]) -> None:
            await _lock_staying(unit, call.saga.tenant_id, call.request.request)
            row = _row(call)
            unit.session.add(row)
            unit.tell(self._generated(row, call.request))

        await self._steps.perform(call, publish)

    @activity.defn
    async def purge_sdk(self, call: StepCall[PurgeSdkRequest]) -> None:
        await self._steps.perform(call, _purge)

    def _generated(self, row: SdkGeneration, made: Generation) -> SdkGenerated:
        packages = [
            {
                "language": package.language,
                "version": package.version,
                "package_name": package.package_name,
                "download_url": self._public_url(f"/v2/sdks/{row.id}/{package.file}"),
                "sha256": package.sha256,
                "size_bytes": package.size_bytes,
            }
            for package in made.packages
        ]
        facts = row.model_dump(include={"partner_id", "api_version", "modules"})
        times = {"generated_at": row.generated_at, "expires_at": row.expires_at}
        return SdkGenerated.model_validate(
            {"generation_id": row.id, "packages": packages, **facts, **times}
        )


async def _lock_staying(unit: Unit, tenant_id: str, request: SdkGenerationRequest) -> None:
    """A partner gets its packages while it comes on board, and not when it has left."""
    partner = await lock_partner(unit.session, tenant_id, request.partner_id)
    if partner.status in GONE:
        raise PartnerNotActive(partner.id, partner.status)


async def _check_tier(unit: Unit, call: StepCall[SdkGenerationRequest]) -> tuple[Module, ...]:
    request = call.request
    await _lock_staying(unit, call.saga.tenant_id, request)
    partner = await lock_partner(unit.session, call.saga.tenant_id, request.partner_id)
    check_languages(tier_of(partner), request.languages)
    check_modules(tier_of(partner), request.modules)
    return request.modules or modules_of(partner)


async def _built(unit: Unit, call: StepCall[PackageRequest], made: Package) -> BuiltPackage:
    await sdks.keep(unit.session, call.request.generation_id, made.facts, made.content)
    return made.facts


async def _delete(unit: Unit, call: StepCall[PackageRequest]) -> Undone:
    await sdks.remove(unit.session, call.request.generation_id, call.request.language)
    return Undone(UndoStatus.EXECUTED)


def _row(call: StepCall[Generation]) -> SdkGeneration:
    made, now = call.request, utc_now()
    return SdkGeneration(
        id=made.request.generation_id,
        tenant_id=call.saga.tenant_id,
        partner_id=made.request.partner_id,
        api_version=made.packages[0].api_version,
        modules=list(made.modules),
        workflow_id=call.saga.workflow_id,
        generated_at=now,
        expires_at=now + KEPT_FOR,
    )


async def _purge(unit: Unit, call: StepCall[PurgeSdkRequest]) -> None:
    generation_id = call.request.sdk_generation_id
    await sdks.mark_purged(unit.session, call.saga.tenant_id, generation_id, now=utc_now())
    await sdks.remove(unit.session, generation_id)

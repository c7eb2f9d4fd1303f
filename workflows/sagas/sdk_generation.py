"""SDK generation: make client packages of the API for a partner, one for each language at once.

    check tier ──┬─► build python ─┬─► publish ★
                 └─► build …      ─┘      │
                     delete ◄──────── refused, cancelled

A package is generated from the very API that runs, and is not to be had before it is published.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow

from activities.ports import SdkActivities
from domain.partner import Language, Module
from domain.sdk import BuiltPackage, Generation, PackageRequest, SdkGenerationRequest
from workflows.saga import Saga
from workflows.steps import Step

CHECK = Step(SdkActivities.check_sdk_tier)
BUILD = Step(
    SdkActivities.build_package,
    compensation=SdkActivities.delete_package,
    outside=True,
    start_to_close=timedelta(minutes=5),  # Others may be before it: one is built at a time.
    attempts_max=5,
)
PUBLISH = Step(SdkActivities.publish_sdk)

STEPS = (CHECK, BUILD, PUBLISH)
EXAMPLE = SdkGenerationRequest(partner_id="prt_0199c5a2-0000-7000-8000-0000000000b1")


@workflow.defn(name="sdk_generation")
class SdkGeneration:
    @workflow.run
    async def run(self, request: SdkGenerationRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("sdk", request.generation_id)) as saga:
            modules = await saga.run(CHECK, request)
            builds = (_build(saga, request, modules, language) for language in request.languages)
            packages: list[BuiltPackage] = await saga.together(*builds)
            await saga.pivot(PUBLISH, Generation(request, modules, tuple(packages)))
            saga.result = {
                "sdk_generation_id": request.generation_id,
                "packages": [f"{package.language}: {package.file}" for package in packages],
            }
        return saga.result


async def _build(
    saga: Saga, request: SdkGenerationRequest, modules: tuple[Module, ...], language: Language
) -> BuiltPackage:
    package = PackageRequest(request.generation_id, language, modules)
    return await saga.run(BUILD, package, name=f"{BUILD.name}-{language}")

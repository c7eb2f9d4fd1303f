"""Purge SDK: take a partner's client packages back, as when its onboarding fails.

    purge ★ ──► nobody can download them any more
      │
    refused: there is no such generation; nothing was changed, so there is no way back to go

The files are deleted, unless another generation made the very same ones.
"""

from typing import Any

from temporalio import workflow

from activities.ports import SdkActivities
from domain.sdk import PurgeSdkRequest
from workflows.saga import Saga
from workflows.steps import Step

PURGE = Step(SdkActivities.purge_sdk)

STEPS = (PURGE,)
EXAMPLE = PurgeSdkRequest(sdk_generation_id="gen_0199c5a2-0000-7000-8000-0000000000c1")


@workflow.defn(name="purge_sdk")
class PurgeSdk:
    @workflow.run
    async def run(self, request: PurgeSdkRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("sdk", request.sdk_generation_id)) as saga:
            await saga.pivot(PURGE, request)
            saga.result = {"sdk_generation_id": request.sdk_generation_id}
        return saga.result

"""Widget deployment: build a script for a partner's pages, and let them load it.

    check tier ──► build ──► switch ──► publish ★
        │            │          │           │
     refused       delete ◄─ switch back ◄─ refused, cancelled

Each deployment is a version of its own, at a URL of its own, whose bytes never change. The newest
that is switched on is the current one; switched back, the one before it is current again.
"""

from typing import Any

from temporalio import workflow

from activities.ports import WidgetActivities
from domain.widget import WidgetDeploymentRequest
from workflows.saga import Saga
from workflows.steps import Step

CHECK = Step(WidgetActivities.check_widget_tier)
BUILD = Step(WidgetActivities.build_widget, compensation=WidgetActivities.delete_widget)
SWITCH = Step(WidgetActivities.switch_widget, compensation=WidgetActivities.switch_widget_back)
PUBLISH = Step(WidgetActivities.publish_widget)

STEPS = (CHECK, BUILD, SWITCH, PUBLISH)
EXAMPLE = WidgetDeploymentRequest(
    partner_id="prt_0199c5a2-0000-7000-8000-0000000000b1",
    widget_type="checkout",
    allowed_origins=("https://shop.example.com",),
)


@workflow.defn(name="widget_deployment")
class WidgetDeployment:
    @workflow.run
    async def run(self, request: WidgetDeploymentRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("widget", request.deployment_id)) as saga:
            await saga.run(CHECK, request)
            await saga.run(BUILD, request)
            await saga.run(SWITCH, request)
            published = await saga.pivot(PUBLISH, request)
            saga.result = {"deployment_id": request.deployment_id, **published}
        return saga.result

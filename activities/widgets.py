"""Build, store, switch and publish partners' widgets."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

from temporalio import activity

from activities.ports import WidgetActivities
from activities.steps import Steps, Unit
from domain import widget
from domain.catalogue import WidgetDeployed
from domain.partner import check_widget
from domain.saga import StepCall, Undone, UndoStatus
from domain.widget import WidgetDeploymentRequest, version_of
from storage import widgets
from storage.partner_tables import WidgetDeployment
from storage.partners import lock_active, tier_of
from storage.types import utc_now

Call = StepCall[WidgetDeploymentRequest]


class SqlWidgetActivities(WidgetActivities):
    """`public_url` turns a path of the API into the URL that pages load."""

    def __init__(self, steps: Steps, public_url: Callable[[str], str]) -> None:
        self._steps = steps
        self._public_url = public_url

    @activity.defn
    async def check_widget_tier(self, call: Call) -> None:
        await self._steps.perform(call, _check_tier)

    @activity.defn
    async def build_widget(self, call: Call) -> str:
        return await self._steps.perform(call, _build)

    @activity.defn
    async def delete_widget(self, call: Call) -> Undone:
        return await self._steps.undo(call, _delete)

    @activity.defn
    async def switch_widget(self, call: Call) -> None:
        await self._steps.perform(call, _switch)

    @activity.defn
    async def switch_widget_back(self, call: Call) -> Undone:
        return await self._steps.undo(call, _switch_back)

    @activity.defn
    async def publish_widget(self, call: Call) -> dict[str, str]:
        async def publish(unit: Unit, call: Call) -> dict[str, str]:
            request = call.request
            await lock_active(unit.session, call.saga.tenant_id, request.partner_id)
            row = await widgets.change(unit.session, request.deployment_id, deployed_at=utc_now())
            url = self._public_url(path_of(row))
            unit.tell(_deployed(row, url))
            return {"version": row.version, "script_url": url, "integrity": row.integrity}

        return await self._steps.perform(call, publish)


def path_of(row: WidgetDeployment) -> str:
    return f"/v2/widgets/{row.partner_id}/{row.environment}/{row.widget_type}/{row.version}.js"


async def _check_tier(unit: Unit, call: Call) -> None:
    request = call.request
    partner = await lock_active(unit.session, call.saga.tenant_id, request.partner_id)
    check_widget(tier_of(partner), request.widget_type)


async def _build(unit: Unit, call: Call) -> str:
    request = call.request
    # The partner's lock is also what gives each deployment a number of its own.
    await lock_active(unit.session, call.saga.tenant_id, request.partner_id)
    number = await widgets.next_number(unit.session, request)
    built = widget.build_widget(_template(), request, version_of(number))
    row = await widgets.keep(unit.session, call.saga, request, number, built)
    return row.version


async def _delete(unit: Unit, call: Call) -> Undone:
    await widgets.change(unit.session, call.request.deployment_id, state="withdrawn", content=None)
    return Undone(UndoStatus.EXECUTED)


async def _switch(unit: Unit, call: Call) -> None:
    await widgets.change(unit.session, call.request.deployment_id, state="live")


async def _switch_back(unit: Unit, call: Call) -> Undone:
    await widgets.change(unit.session, call.request.deployment_id, state="built")
    return Undone(UndoStatus.EXECUTED)


def _deployed(row: WidgetDeployment, url: str) -> WidgetDeployed:
    return WidgetDeployed.model_validate(
        {
            "deployment_id": row.id,
            "partner_id": row.partner_id,
            "widget_type": row.widget_type,
            "version": row.version,
            "environment": row.environment,
            "allowed_origins": row.allowed_origins,
            "script_url": url,
            "integrity": row.integrity,
            "deployed_at": row.deployed_at,
        }
    )


@cache
def _template() -> str:
    return (files("activities") / "templates" / "widget.js").read_text()

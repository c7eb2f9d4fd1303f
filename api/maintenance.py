"""Maintenance windows: announce one, see which there are, end one early."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Session, Shared, Wait
from api.errors import NotFound
from api.fields import Body, Id
from api.orders import request_of, saga_named, without_unset
from api.paging import Pages
from api.shapes import Data, Page, Timestamp, Told, View
from api.starting import Order, Starting
from api.workflows import WorkflowView, rendering
from domain.maintenance import Impact, ServiceName
from runtime import run_control
from storage.listing import find_own
from storage.maintenance import WINDOW_ORDER, windows_of
from storage.maintenance_tables import MaintenanceWindow
from storage.tables import SagaRun

TYPE = "maintenance_window"
KEPT = ("title", "description")

router = APIRouter(prefix="/maintenance-windows", tags=["maintenance"])
Reader = Annotated[Caller, Depends(Allowed("read", "workflows.read", "workflows.start"))]
Starter = Annotated[Caller, Depends(Allowed("write", "workflows.start"))]


class MaintenanceCreate(Body):
    """A window to hold. Without `starts_at` it begins at once.

    While a `read_only` one lasts, writes are answered 503. `everywhere`: for all tenants of the
    installation, which takes the scope `tenants.manage`.
    """

    id: Id
    title: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    description: Annotated[str | None, Field(min_length=1, max_length=2_000)] = None
    starts_at: AwareDatetime | None = None
    lasts_s: Annotated[int | None, Field(ge=1, le=604_800, examples=[3_600])] = None
    impact: Impact | None = None
    affected_services: Annotated[list[ServiceName] | None, Field(max_length=20)] = None
    read_only: bool = False
    everywhere: bool = False


class MaintenanceView(View):
    """A window. `status` is scheduled, active, ended, or called_off before it began."""

    id: str
    title: str
    description: str
    impact: str
    affected_services: list[str]
    read_only: bool
    everywhere: bool
    status: str
    scheduled_start: Timestamp
    scheduled_end: Timestamp
    actual_start: Timestamp | None
    actual_end: Timestamp | None
    workflow_id: str
    created_at: Timestamp


@router.post("", status_code=202, responses={201: {"model": Data[WorkflowView]}})
async def hold_maintenance(
    body: MaintenanceCreate, caller: Starter, shared: Shared, starting: Starting, wait: Wait
) -> Data[WorkflowView]:
    """Announce a maintenance window: a workflow begins it, and ends it."""
    saga = saga_named(TYPE)
    given = body.model_dump(mode="json", exclude_none=True)
    kept = {name: given.pop(name) for name in KEPT if name in given}
    order = Order(
        saga_type=saga.name,
        request=request_of(saga, given),
        summary=f"maintenance of {body.lasts_s or 'the usual'} seconds",
        location=f"/v2/workflows/{saga.name}/{body.id}",
        kept=without_unset(**kept),
    )
    return await starting.start(order, Data[WorkflowView], rendering(shared), wait=wait)


@router.get("")
async def list_maintenance(caller: Reader, session: Session, pages: Pages) -> Page[MaintenanceView]:
    """List this tenant's windows, and those of the whole installation; the newest first."""
    listed = await pages.find(session, windows_of(caller.tenant_id), WINDOW_ORDER)
    return pages.show(listed, maintenance_view)


@router.get("/{window_id}")
async def get_maintenance(
    window_id: str, caller: Reader, session: Session
) -> Data[MaintenanceView]:
    """Get one maintenance window."""
    row = await session.get(MaintenanceWindow, window_id)
    if row is None or not (row.everywhere or row.tenant_id == caller.tenant_id):
        raise NotFound("maintenance window", window_id)
    return Data(data=maintenance_view(row))


@router.post("/{window_id}/cancel", status_code=202)
async def cancel_maintenance(
    window_id: str, caller: Starter, session: Session, shared: Shared
) -> Told[MaintenanceView]:
    """End a window early, or call it off before it begins. Also while nothing else is written."""
    row = await _own(session, window_id, caller)
    run = await session.get_one(SagaRun, row.workflow_id)
    await run_control.cancel(shared.temporal, run)
    return Told(data=maintenance_view(row), message=f"{row.id} is asked to end")


async def _own(session: AsyncSession, window_id: str, caller: Caller) -> MaintenanceWindow:
    """Whoever only sees a window does not end it."""
    row = await find_own(session, MaintenanceWindow, window_id, caller.tenant_id)
    if row is None:
        raise NotFound("maintenance window", window_id)
    return row


def maintenance_view(row: MaintenanceWindow) -> MaintenanceView:
    return MaintenanceView.model_validate(row.model_dump())

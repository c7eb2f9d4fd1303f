"""Maintenance windows as rows: who is in one, until when, and how it is told of."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import EVENT_TYPES, EventData
from domain.errors import DuplicateRequest
from domain.maintenance import MaintenanceWindowRequest, Window
from domain.saga import SagaInfo
from storage.maintenance_tables import MaintenanceWindow
from storage.outbox import publish
from storage.tenants import all_tenants

WINDOWS: Any = MaintenanceWindow.__table__  # type: ignore[attr-defined]
WINDOW_ORDER = (WINDOWS.c.created_at, WINDOWS.c.id)
# In the words of the partial index.
IN_FORCE = text("status = 'active' AND read_only")


def windows_of(tenant_id: str) -> Select[MaintenanceWindow]:
    """A tenant's own, and everybody's."""
    return select(MaintenanceWindow).where(
        or_(WINDOWS.c.tenant_id == tenant_id, WINDOWS.c.everywhere)
    )


async def read_only_until(
    session: AsyncSession, tenant_id: str, *, now: datetime
) -> datetime | None:
    """When this tenant may write again; None if it may now.

    A window that was not ended in time, since no worker ran, is over all the same.
    """
    found: datetime | None = await session.scalar(
        select(func.max(WINDOWS.c.scheduled_end)).where(
            IN_FORCE,
            or_(WINDOWS.c.tenant_id == tenant_id, WINDOWS.c.everywhere),
            WINDOWS.c.scheduled_end > now,
        )
    )
    return found


async def create(
    session: AsyncSession,
    saga: SagaInfo,
    request: MaintenanceWindowRequest,
    window: Window,
    said: dict[str, Any],
) -> MaintenanceWindow:
    """Raises DuplicateRequest."""
    if await session.get(MaintenanceWindow, request.maintenance_id) is not None:
        raise DuplicateRequest(f"{request.maintenance_id} is the id of another window")
    row = MaintenanceWindow(
        id=request.maintenance_id,
        tenant_id=saga.tenant_id,
        everywhere=request.everywhere,
        title=said.get("title") or "Maintenance",
        description=said.get("description") or f"Maintenance with {request.impact} impact.",
        impact=request.impact,
        affected_services=list(request.affected_services),
        read_only=request.read_only,
        scheduled_start=window.starts_at,
        scheduled_end=window.ends_at,
        workflow_id=saga.workflow_id,
    )
    session.add(row)
    await session.flush()
    return row


async def change(session: AsyncSession, window_id: str, **values: Any) -> MaintenanceWindow:
    row = await session.get_one(MaintenanceWindow, window_id)
    for name, value in values.items():
        setattr(row, name, value)
    await session.flush()
    return row


async def tell_others(
    session: AsyncSession, row: MaintenanceWindow, data: EventData, *, now: datetime
) -> None:
    """Tell every other tenant, where the window is everybody's. In no story: it is not theirs."""
    if not row.everywhere:
        return
    for tenant in (await session.scalars(all_tenants())).all():
        if tenant.id != row.tenant_id:
            await publish(session, tenant.id, [(data, None)], now=now)


def told(row: MaintenanceWindow, turn: str) -> EventData:
    """The event `system.maintenance_{turn}` of this row."""
    facts = {
        "maintenance_id": row.id,
        "title": row.title,
        "description": row.description,
        "affected_services": row.affected_services,
        "impact": row.impact,
        "scheduled_start": row.scheduled_start,
        "scheduled_end": row.scheduled_end,
        "read_only": row.read_only,
        "actual_start": row.actual_start,
    }
    if row.actual_start is not None and row.actual_end is not None:
        lasted = row.actual_end - row.actual_start
        facts |= {
            "actual_end": row.actual_end,
            "duration_seconds": max(0, round(lasted.total_seconds())),
        }
    return EVENT_TYPES[f"system.maintenance_{turn}"].model_validate(facts)

"""How components are doing, as each monitor last told it."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from domain.catalogue import SystemStatusChange
from domain.ids import new_id
from domain.status import Measured, Status
from storage.types import UtcDateTime


class ComponentStatus(SQLModel, table=True):
    """What a monitor last told of a component. An incident lasts until it is operational again."""

    __tablename__ = "component_statuses"
    __table_args__ = (
        CheckConstraint("status IN ('operational','degraded','down')", "component_status"),
        CheckConstraint("(incident_id IS NULL) = (status = 'operational')", "component_incident"),
    )

    workflow_id: str = Field(primary_key=True, description="the monitor's")
    component: str = Field(primary_key=True)
    status: str = "operational"
    incident_id: str | None = None
    changed_at: datetime = Field(sa_type=UtcDateTime)


async def change(
    session: AsyncSession, workflow_id: str, now: Measured, *, overall: Status
) -> SystemStatusChange | None:
    """Write it down, and return what is to be told of it: nothing if that was told before."""
    key = (workflow_id, now.component)
    row = await session.get(ComponentStatus, key, with_for_update=True, populate_existing=True)
    if row is None:
        row = ComponentStatus(workflow_id=workflow_id, component=now.component, changed_at=now.at)
        session.add(row)
    if row.status == now.status:
        return None
    previous, incident_id = row.status, row.incident_id or new_id("inc")
    row.status, row.changed_at = now.status, now.at
    row.incident_id = None if now.status == "operational" else incident_id
    await session.flush()
    return SystemStatusChange.model_validate(
        {
            "component": now.component,
            "previous_status": previous,
            "new_status": now.status,
            "overall_status": overall,
            "reason": now.reason,
            "changed_at": now.at,
            "incident_id": incident_id,
        }
    )

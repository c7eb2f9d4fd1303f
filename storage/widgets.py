"""Widgets by version: built, live, withdrawn. Which one is current follows from that alone."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.saga import SagaInfo
from domain.widget import BuiltWidget, WidgetDeploymentRequest, version_of
from storage.partner_tables import Partner, WidgetDeployment

WIDGETS: Any = WidgetDeployment.__table__  # type: ignore[attr-defined]
PARTNERS: Any = Partner.__table__  # type: ignore[attr-defined]


async def next_number(session: AsyncSession, request: WidgetDeploymentRequest) -> int:
    """Of this partner's widget. The caller holds the partner's lock: nobody else takes it."""
    query = select(func.max(WIDGETS.c.number)).where(
        WIDGETS.c.partner_id == request.partner_id,
        WIDGETS.c.environment == request.environment,
        WIDGETS.c.widget_type == request.widget_type,
    )
    return (await session.scalar(query) or 0) + 1


async def keep(
    session: AsyncSession,
    saga: SagaInfo,
    request: WidgetDeploymentRequest,
    number: int,
    built: BuiltWidget,
) -> WidgetDeployment:
    row = WidgetDeployment(
        id=request.deployment_id,
        tenant_id=saga.tenant_id,
        partner_id=request.partner_id,
        widget_type=request.widget_type,
        environment=request.environment,
        number=number,
        version=version_of(number),
        allowed_origins=list(request.allowed_origins),
        content=built.content,
        integrity=built.integrity,
        workflow_id=saga.workflow_id,
    )
    session.add(row)
    await session.flush()
    return row


async def change(session: AsyncSession, deployment_id: str, **values: Any) -> WidgetDeployment:
    row = await session.get_one(WidgetDeployment, deployment_id, with_for_update=True)
    for name, value in values.items():
        setattr(row, name, value)
    await session.flush()
    return row


async def find_served(
    session: AsyncSession, partner_id: str, environment: str, widget_type: str, version: str | None
) -> WidgetDeployment | None:
    """What a page gets: this version, or the current one. None if there is no such thing."""
    query = (
        select(WidgetDeployment)
        .join(Partner, PARTNERS.c.id == WIDGETS.c.partner_id)
        .where(
            WIDGETS.c.partner_id == partner_id,
            WIDGETS.c.environment == environment,
            WIDGETS.c.widget_type == widget_type,
            WIDGETS.c.state == "live",
            PARTNERS.c.status == "active",
        )
    )
    if version is not None:
        query = query.where(WIDGETS.c.version == version)
    found: WidgetDeployment | None = await session.scalar(
        query.order_by(WIDGETS.c.number.desc()).limit(1)
    )
    return found

"""Tenants: whose everything is."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import DuplicateRequest
from storage.access_tables import Tenant
from storage.types import utc_now
from storage.unless_there import insert_unless_there

DEFAULT_TENANT = "default"
TENANTS: Any = Tenant.__table__  # type: ignore[attr-defined]
TENANT_ORDER = (TENANTS.c.created_at, TENANTS.c.id)


async def lock_tenant(session: AsyncSession, tenant_id: str, name: str) -> None:
    """Make the tenant if it is missing, and keep others from changing it until the commit."""
    row = {"id": tenant_id, "name": name, "created_at": utc_now()}
    await session.execute(insert_unless_there(session, Tenant).values(row))
    await session.get_one(Tenant, tenant_id, with_for_update=True)


def all_tenants() -> Select[Tenant]:
    return select(Tenant)


async def add_tenant(session: AsyncSession, tenant: Tenant) -> None:
    """Raises DuplicateRequest."""
    if await session.get(Tenant, tenant.id) is not None:
        raise DuplicateRequest(f"there is a tenant {tenant.id} already", field="id")
    session.add(tenant)
    await session.flush()

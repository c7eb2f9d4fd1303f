"""Tenants: whose everything is."""

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import Tenant
from storage.types import utc_now

DEFAULT_TENANT = "default"


async def lock_tenant(session: AsyncSession, tenant_id: str, name: str) -> None:
    """Make the tenant if it is missing, and keep others from changing it until the commit."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    row = {"id": tenant_id, "name": name, "created_at": utc_now()}
    await session.execute(dialect.insert(Tenant).values(row).on_conflict_do_nothing())
    await session.get_one(Tenant, tenant_id, with_for_update=True)

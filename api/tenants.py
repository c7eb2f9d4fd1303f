"""Tenants: the customers of this installation, each with everything of their own."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Session, Shared
from api.errors import NotFound
from api.fields import Body, Name
from api.once import OnceOnly, Reply
from api.paging import Pages
from api.shapes import Data, Page, Timestamp, View
from domain.api_keys import EVERYTHING, new_key
from storage.access_tables import Tenant
from storage.keys import NewKey, make_key
from storage.tenants import TENANT_ORDER, add_tenant, all_tenants

router = APIRouter(prefix="/tenants", tags=["tenants"])
Admin = Annotated[Caller, Depends(Allowed("tenants.manage"))]
PerMinute = Annotated[
    int | None,
    Field(ge=1, le=10_000_000, description="requests of all its keys together; null: the default"),
]


class TenantCreate(Body):
    """A tenant to make, with its first key, which may do everything within it."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["acme"])]
    name: Name
    limit_per_minute: PerMinute = None


class TenantUpdate(Body):
    """What to change; what is left out stays as it is."""

    name: Name | None = None
    limit_per_minute: PerMinute = None


class TenantView(View):
    id: str
    name: str
    limit_per_minute: int | None
    created_at: Timestamp


class TenantCreated(TenantView):
    """A tenant that was just made. The key is not shown again."""

    api_key: str


@router.post("", status_code=201)
async def create_tenant(body: TenantCreate, caller: Admin, once: OnceOnly) -> Data[TenantCreated]:
    """Make a tenant. The answer has its first key, and nothing else ever shows it."""

    async def work(session: AsyncSession) -> Reply[Data[TenantCreated]]:
        tenant = Tenant(**body.model_dump())
        await add_tenant(session, tenant)
        key = new_key()
        terms = NewKey(tenant.id, "First key", [EVERYTHING], created_by=caller.key_id)
        await make_key(session, key, terms)
        created = TenantCreated(**tenant_view(tenant).model_dump(), api_key=key)
        return Reply(Data(data=created), 201, {"Location": f"/v2/tenants/{tenant.id}"})

    return await once.reply(Data[TenantCreated], work)


@router.get("")
async def list_tenants(caller: Admin, session: Session, pages: Pages) -> Page[TenantView]:
    """List tenants, the newest first."""
    listed = await pages.find(session, all_tenants(), TENANT_ORDER)
    return pages.show(listed, tenant_view)


@router.get("/{tenant_id}")
async def get_tenant(tenant_id: str, caller: Admin, session: Session) -> Data[TenantView]:
    """Get one tenant."""
    return Data(data=tenant_view(await _tenant(session, tenant_id)))


@router.patch("/{tenant_id}")
async def update_tenant(
    tenant_id: str, body: TenantUpdate, caller: Admin, shared: Shared
) -> Data[TenantView]:
    """Change a tenant's name, or how often its keys may ask."""

    async def work(session: AsyncSession) -> Tenant:
        tenant = await _tenant(session, tenant_id)
        if body.name is not None:
            tenant.name = body.name
        if "limit_per_minute" in body.model_fields_set:
            tenant.limit_per_minute = body.limit_per_minute
        await session.flush()
        return tenant

    return Data(data=tenant_view(await shared.database.transact(work)))


async def _tenant(session: AsyncSession, tenant_id: str) -> Tenant:
    tenant = await session.get(Tenant, tenant_id)
    if tenant is None:
        raise NotFound("tenant", tenant_id)
    return tenant


def tenant_view(tenant: Tenant) -> TenantView:
    return TenantView.model_validate(tenant.model_dump())

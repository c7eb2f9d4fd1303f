"""The partners table: who builds on the bank, and how far each has come."""

from collections.abc import Sequence
from typing import Any, Literal, cast

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import DuplicateRequest, PartnerNotActive, PartnerNotFound
from domain.partner import TIERS, Module, Tier
from domain.partner_onboarding import PartnerOnboardingRequest
from domain.saga import SagaInfo
from storage.partner_tables import Partner, PartnerKeyGrant

PARTNERS: Any = Partner.__table__  # type: ignore[attr-defined]
GRANTS: Any = PartnerKeyGrant.__table__  # type: ignore[attr-defined]
PARTNER_ORDER = (PARTNERS.c.id,)
GONE = ("rejected", "deactivated")


def partners_of(tenant_id: str) -> Select[Partner]:
    return select(Partner).where(PARTNERS.c.tenant_id == tenant_id)


async def lock_partner(session: AsyncSession, tenant_id: str, partner_id: str) -> Partner:
    """The row, locked until the commit. Raises PartnerNotFound, also for another tenant's."""
    row = await session.get(Partner, partner_id, with_for_update=True, populate_existing=True)
    if row is None or row.tenant_id != tenant_id:
        raise PartnerNotFound(partner_id)
    return row


async def lock_active(session: AsyncSession, tenant_id: str, partner_id: str) -> Partner:
    """Raises PartnerNotFound, or PartnerNotActive for one that is not on board."""
    row = await lock_partner(session, tenant_id, partner_id)
    if row.status != "active":
        raise PartnerNotActive(partner_id, row.status)
    return row


async def ensure_partner(
    session: AsyncSession, saga: SagaInfo, request: PartnerOnboardingRequest
) -> None:
    """The row as the API accepted it; made here when no API did. Raises DuplicateRequest."""
    row = await session.get(Partner, request.partner_id)
    if row is None:
        row = partner_row(request, tenant_id=saga.tenant_id, workflow_id=saga.workflow_id)
        session.add(row)
        await session.flush()
    if row.workflow_id != saga.workflow_id:
        raise DuplicateRequest(f"{request.partner_id} is the id of another partner")


def partner_row(request: PartnerOnboardingRequest, *, tenant_id: str, workflow_id: str) -> Partner:
    return Partner(
        id=request.partner_id,
        tenant_id=tenant_id,
        application_id=request.application_id,
        organization_name=request.organization_name,
        tier=request.tier,
        modules=list(request.modules),
        workflow_id=workflow_id,
    )


async def change(session: AsyncSession, partner_id: str, **values: Any) -> Partner:
    row = await session.get_one(Partner, partner_id, with_for_update=True)
    for name, value in values.items():
        setattr(row, name, value)
    await session.flush()
    return row


async def tick(session: AsyncSession, partner_id: str, *items: str) -> None:
    """Note on the partner's list what is done."""
    row = await session.get_one(Partner, partner_id, with_for_update=True, populate_existing=True)
    row.checklist = row.checklist | dict.fromkeys(items, True)
    await session.flush()


async def grant_key(
    session: AsyncSession, partner_id: str, mode: Literal["live", "test"], tenant_id: str
) -> None:
    session.add(PartnerKeyGrant(partner_id=partner_id, mode=mode, tenant_id=tenant_id))
    await session.flush()


async def revoke_grant(
    session: AsyncSession, partner_id: str, mode: Literal["live", "test"]
) -> None:
    """Nobody can have used it: the partner was not active."""
    grant = await session.get_one(PartnerKeyGrant, (partner_id, mode), with_for_update=True)
    grant.state = "revoked"
    await session.flush()


async def lock_grants(session: AsyncSession, partner_id: str) -> Sequence[PartnerKeyGrant]:
    """All of a partner's, locked until the commit: the live one, then the one of the sandbox."""
    query = select(PartnerKeyGrant).where(GRANTS.c.partner_id == partner_id)
    return (await session.scalars(query.order_by(GRANTS.c.mode).with_for_update())).all()


def tier_of(partner: Partner) -> Tier:
    return cast(Tier, partner.tier)  # The database keeps it to these.


def modules_of(partner: Partner) -> tuple[Module, ...]:
    """What it chose; without a choice, all that its tier includes."""
    return cast(tuple[Module, ...], tuple(partner.modules)) or TIERS[tier_of(partner)].modules

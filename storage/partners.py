"""The partners table: who builds on the bank, and how far each has come."""

from typing import Any, cast

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import PartnerNotActive, PartnerNotFound
from domain.partner import TIERS, Module, Tier
from storage.partner_tables import Partner

PARTNERS: Any = Partner.__table__  # type: ignore[attr-defined]
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


def tier_of(partner: Partner) -> Tier:
    return cast(Tier, partner.tier)  # The database keeps it to these.


def modules_of(partner: Partner) -> tuple[Module, ...]:
    """What it chose; without a choice, all that its tier includes."""
    return cast(tuple[Module, ...], tuple(partner.modules)) or TIERS[tier_of(partner)].modules

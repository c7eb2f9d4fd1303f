"""What stands in the way of an account's end: money left in it, money on its way, mandates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from storage.account_tables import Mandate
from storage.ledger_tables import Hold, LedgerAccount
from storage.tables import Transfer
from storage.types import utc_now


@dataclass(frozen=True)
class Rest:
    """What is left of one asset: posted, of that set aside by the closing saga, and by others."""

    account_id: str
    asset_code: str
    posted_minor: int
    ours_minor: int
    others_minor: int


async def rest_of(session: AsyncSession, account_id: str, workflow_id: str) -> list[Rest]:
    """Every asset the account ever had, in the books' lock order."""
    balances = select(LedgerAccount).where(col(LedgerAccount.account_id) == account_id)
    # What this session read before it changed the books is old.
    fresh = balances.order_by(col(LedgerAccount.id)).execution_options(populate_existing=True)
    held = select(col(Hold.ledger_account_id), col(Hold.amount_minor)).where(
        col(Hold.workflow_id) == workflow_id, col(Hold.state) == "placed"
    )
    ours: dict[str, int] = {row[0]: row[1] for row in await session.execute(held)}
    return [_rest(row, ours.get(row.id, 0)) for row in await session.scalars(fresh)]


def _rest(row: LedgerAccount, ours_minor: int) -> Rest:
    assert row.account_id is not None
    return Rest(
        row.account_id,
        row.asset_code,
        row.credits_posted - row.debits_posted,
        ours_minor,
        row.debits_pending - ours_minor,
    )


async def is_awaited(session: AsyncSession, account_id: str) -> bool:
    """Whether a transfer to the account is under way: what is held now would arrive too late."""
    query = select(col(Transfer.id)).where(
        col(Transfer.to_account) == account_id, col(Transfer.status).in_(("held", "pending"))
    )
    return await session.scalar(query.limit(1)) is not None


async def revoke_mandates(session: AsyncSession, account_id: str, *, workflow_id: str) -> int:
    active = (col(Mandate.account_id) == account_id, col(Mandate.state) == "active")
    found = (await session.scalars(select(col(Mandate.id)).where(*active))).all()
    values = {"state": "revoked", "revoked_by": workflow_id, "revoked_at": utc_now()}
    await _change(session, found, values)
    return len(found)


async def restore_mandates(session: AsyncSession, *, workflow_id: str) -> int:
    ours = select(col(Mandate.id)).where(col(Mandate.revoked_by) == workflow_id)
    found = (await session.scalars(ours)).all()
    await _change(session, found, {"state": "active", "revoked_by": None, "revoked_at": None})
    return len(found)


async def _change(session: AsyncSession, mandates: Sequence[str], values: dict[str, Any]) -> None:
    if mandates:
        await session.execute(update(Mandate).where(col(Mandate.id).in_(mandates)).values(values))

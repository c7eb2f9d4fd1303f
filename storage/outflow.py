"""How much has left an account, or is about to: whatever leaves it is set aside first."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.ledger import ledger_account_id
from storage.ledger_tables import Hold


async def outflow_minor(
    session: AsyncSession, account_id: str, asset_code: str, *, since: datetime
) -> int:
    """Placed and settled holds since then, without fees."""
    query = select(func.coalesce(func.sum(Hold.amount_minor), 0)).where(
        col(Hold.ledger_account_id) == ledger_account_id(account_id, asset_code),
        col(Hold.state).in_(("placed", "settled")),
        col(Hold.placed_at) >= since,
        col(Hold.id).not_like("%/fee-hold"),
    )
    return int(await session.scalar(query) or 0)

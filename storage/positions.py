"""The table of positions: a position's row, and how it is told of."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import EVENT_TYPES, EventData
from domain.errors import DuplicateRequest, PositionNotFound
from domain.money import Money, minor_to_decimal
from domain.position import AssessedPosition, Position, health_factor, value_usd
from domain.saga import SagaInfo
from domain.wallets import wallet_address
from storage.kept import kept
from storage.position_tables import PositionRow


async def create(session: AsyncSession, saga: SagaInfo, assessed: AssessedPosition) -> None:
    """Raises DuplicateRequest."""
    request = assessed.request
    if await session.get(PositionRow, request.position_id) is not None:
        raise DuplicateRequest(f"{request.position_id} is the id of another position")
    said = await kept(session, saga.workflow_id)
    row = PositionRow(
        id=request.position_id,
        tenant_id=saga.tenant_id,
        workflow_id=saga.workflow_id,
        account_id=request.account_uuid,
        wallet_address=wallet_address(saga.tenant_id, request.account_uuid, request.chain),
        protocol=request.protocol,
        type=request.type,
        chain=request.chain,
        asset_code=request.asset_code,
        amount_minor=request.money.amount_minor,
        debt_asset=request.borrow_asset,
        debt_minor=request.debt.amount_minor if request.debt else 0,
        value_usd_minor=int(value_usd(request.money) * 100),
        apy=assessed.terms.apy,
        position_metadata=said.get("metadata") or {},
    )
    session.add(row)
    await session.flush()


async def find(
    session: AsyncSession, tenant_id: str, position_id: str, *, lock: bool = False
) -> PositionRow:
    """Raises PositionNotFound, also for another tenant's."""
    row = await session.get(PositionRow, position_id, with_for_update=lock or None)
    if row is None or row.tenant_id != tenant_id:
        raise PositionNotFound(position_id)
    return row


async def change(session: AsyncSession, position_id: str, **values: Any) -> PositionRow:
    row = await session.get_one(PositionRow, position_id)
    for name, value in values.items():
        setattr(row, name, value)
    await session.flush()
    return row


def position_of(row: PositionRow) -> Position:
    debt = Money(row.debt_minor, row.debt_asset) if row.debt_asset else None
    return Position(
        id=row.id,
        account_id=row.account_id,
        wallet_address=row.wallet_address,
        protocol=row.protocol,
        type=row.type,  # type: ignore[arg-type]  # The table takes what a request may be.
        chain=row.chain,  # type: ignore[arg-type]
        money=Money(row.amount_minor, row.asset_code),
        debt=debt,
        apy=row.apy,
        value_usd_minor=row.value_usd_minor,
    )


def told(row: PositionRow, turn: str, **more: Any) -> EventData:
    """The event `position.{turn}` of this row."""
    position = position_of(row)
    health = health_factor(position.money, position.debt)
    common = {
        "position_id": row.id,
        "protocol": row.protocol,
        "type": row.type,
        "chain": row.chain,
        "asset": row.asset_code,
        "amount": position.money.decimal,
        "amount_minor": row.amount_minor,
        "value_usd": minor_to_decimal(row.value_usd_minor, "USD"),
        "apy": row.apy,
        "health_factor": str(health) if health is not None else None,
        "wallet_address": row.wallet_address,
        "tx_hash": row.tx_hash,
        "metadata": row.position_metadata,
        "opened_at": row.opened_at,
    }
    return EVENT_TYPES[f"position.{turn}"].model_validate(common | more)


def closed(row: PositionRow, reason: str, *, returned: Money, pnl: str) -> EventData:
    return told(
        row,
        "closed",
        reason=reason,
        returned_amount=returned.decimal,
        returned_amount_minor=returned.amount_minor,
        realized_pnl_usd=pnl,
        closed_at=row.closed_at,
    )

"""The transfers table: a transfer's row from acceptance to its end, and how it is told of."""

from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import EVENT_TYPES, EventData
from domain.money import minor_to_decimal
from domain.saga import SagaInfo
from domain.transfer import TransferRequest
from storage.tables import SagaStep, Transfer

TRANSFERS: Any = Transfer.__table__  # type: ignore[attr-defined]

CHANGE = update(TRANSFERS).where(TRANSFERS.c.id == bindparam("transfer")).returning(*TRANSFERS.c)


async def open_transfer(
    session: AsyncSession, saga: SagaInfo, request: TransferRequest, *, fee_minor: int
) -> Transfer:
    """The accepted row with its fee; made here when no API accepted it (a child saga)."""
    row = await session.get(Transfer, request.id)
    if row is None:
        row = Transfer(
            id=request.id,
            tenant_id=saga.tenant_id,
            from_account=request.from_account,
            to_account=request.to_account,
            amount_minor=request.money.amount_minor,
            asset_code=request.asset_code,
            rail=request.rail,
            workflow_id=saga.workflow_id,
        )
        session.add(row)
    row.status = "created"
    row.fee_minor = fee_minor
    row.expires_at = saga.deadline_at
    await session.flush()
    return row


async def change(session: AsyncSession, transfer_id: str, **values: Any) -> Transfer:
    """The row as it is now: a copy, which the session does not watch."""
    row = (await session.execute(CHANGE, {"transfer": transfer_id} | values)).one()
    return Transfer(**row._mapping)


async def was_held(session: AsyncSession, workflow_id: str) -> bool:
    """Whether the source's hold was really placed (and so was given back)."""
    step = await session.get(SagaStep, (workflow_id, "hold_source"))
    return step is not None and step.state == "undone"


def told(row: Transfer, turn: str, **more: Any) -> EventData:
    """The event `transfer.{turn}` of this row."""
    common = {
        "uuid": row.id,
        "from_account": row.from_account,
        "to_account": row.to_account,
        "amount": minor_to_decimal(row.amount_minor, row.asset_code),
        "amount_minor": row.amount_minor,
        "asset_code": row.asset_code,
        "reference": row.reference,
        "workflow_id": row.workflow_id,
        "fees": {
            "transfer_fee": minor_to_decimal(row.fee_minor, row.asset_code),
            "transfer_fee_minor": row.fee_minor,
            "currency": row.asset_code,
        },
        "metadata": row.transfer_metadata,
        "created_at": row.created_at,
    }
    return EVENT_TYPES[f"transfer.{turn}"].model_validate(common | more)

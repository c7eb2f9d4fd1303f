"""Bulk transfers in their table, and their items in that of the transfers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.bulk_transfer import BulkTransferRequest
from domain.errors import DuplicateRequest
from domain.saga import SagaInfo
from storage.bulk_tables import BulkTransfer
from storage.tables import Transfer
from storage.types import utc_now


async def open_bulk(
    session: AsyncSession,
    saga: SagaInfo,
    request: BulkTransferRequest,
    references: Sequence[str | None],
) -> None:
    """The accepted row, or one made here; and one for each item. Raises DuplicateRequest."""
    row = await session.get(BulkTransfer, request.id) or _bulk_row(saga, request)
    if row.workflow_id != saga.workflow_id:
        raise DuplicateRequest(f"{request.id} is the id of another bulk transfer")
    row.status = "created"
    session.add(row)
    taken = select(col(Transfer.id)).where(col(Transfer.id).in_(request.transfer_ids))
    if await session.scalar(taken.limit(1)):
        raise DuplicateRequest(f"{request.id} has items with ids of other transfers")
    references = [*references, *[None] * len(request.items)]
    numbers = range(1, len(request.items) + 1)
    session.add_all(_item_row(saga, request, number, references[number - 1]) for number in numbers)
    await session.flush()


def _bulk_row(saga: SagaInfo, request: BulkTransferRequest) -> BulkTransfer:
    return BulkTransfer(
        id=request.id,
        tenant_id=saga.tenant_id,
        from_account=request.from_account,
        policy=request.policy,
        asset_code=request.asset_code,
        items=len(request.items),
        total_minor=request.total.amount_minor,
        workflow_id=saga.workflow_id,
    )


def _item_row(
    saga: SagaInfo, request: BulkTransferRequest, number: int, reference: str | None
) -> Transfer:
    transfer = request.transfer(number)
    return Transfer(
        id=transfer.id,
        tenant_id=saga.tenant_id,
        from_account=transfer.from_account,
        to_account=transfer.to_account,
        amount_minor=transfer.money.amount_minor,
        asset_code=transfer.asset_code,
        reference=reference,
        rail=transfer.rail,
        workflow_id=f"transfer/{transfer.id}",
    )


async def end_bulk(session: AsyncSession, bulk_id: str, **values: Any) -> None:
    row = await session.get_one(BulkTransfer, bulk_id)
    for name, value in values.items():
        setattr(row, name, value)
    row.ended_at = utc_now()
    await session.flush()


async def fail_items_left(
    session: AsyncSession, request: BulkTransferRequest, failure: dict[str, Any]
) -> None:
    """Those that never began: no saga of theirs will say so."""
    ours = col(Transfer.id).in_(request.transfer_ids)
    left = select(Transfer).where(ours, col(Transfer.status) == "accepted")
    for row in await session.scalars(left):
        row.status, row.failure = "failed", failure
    await session.flush()

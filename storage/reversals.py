"""Reversals in the transfers table: a transfer back, and the one that it pays back."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import DuplicateRequest, TransferNotFound
from domain.reversal import ReverseTransferRequest
from domain.saga import SagaInfo
from storage.tables import Transfer


async def lock_original(
    session: AsyncSession, tenant_id: str, request: ReverseTransferRequest
) -> Transfer:
    """Locked until the commit: of two reversals the second sees the first."""
    row = await session.get(
        Transfer, request.transfer_uuid, with_for_update=True, populate_existing=True
    )
    if row is None or row.tenant_id != tenant_id:
        raise TransferNotFound(request.transfer_uuid)
    return row


async def open_reversal(
    session: AsyncSession, saga: SagaInfo, request: ReverseTransferRequest, original: Transfer
) -> Transfer:
    """The accepted row; made here when no API accepted it. Raises DuplicateRequest."""
    row = await session.get(Transfer, request.id)
    if row is None:
        row = Transfer(
            id=request.id,
            tenant_id=saga.tenant_id,
            from_account=original.to_account,
            to_account=original.from_account,
            amount_minor=original.amount_minor,
            asset_code=original.asset_code,
            reference=original.reference,
            workflow_id=saga.workflow_id,
        )
        session.add(row)
    if row.workflow_id != saga.workflow_id:
        raise DuplicateRequest(f"{request.id} is the id of another transfer")
    row.status = "created"
    await session.flush()
    return row

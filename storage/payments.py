"""The payments table: a deposit's or withdrawal's row, from acceptance to its end."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import DuplicateRequest
from domain.payment import PaymentRequest
from domain.saga import SagaInfo
from storage.payment_tables import Payment


async def open_payment(session: AsyncSession, saga: SagaInfo, request: PaymentRequest) -> Payment:
    """The accepted row; made here when no API accepted it. Raises DuplicateRequest."""
    row = await session.get(Payment, request.id)
    if row is None:
        row = Payment(
            id=request.id,
            tenant_id=saga.tenant_id,
            account_id=request.account_uuid,
            type=saga.type,
            amount_minor=request.money.amount_minor,
            asset_code=request.asset_code,
            rail=request.rail,
            workflow_id=saga.workflow_id,
        )
        session.add(row)
    if row.workflow_id != saga.workflow_id:
        raise DuplicateRequest(f"{request.id} is the id of another payment")
    row.status = "created"
    row.expires_at = saga.deadline_at
    await session.flush()
    return row


async def change(session: AsyncSession, payment_id: str, **values: Any) -> Payment:
    row = await session.get_one(Payment, payment_id)
    for name, value in values.items():
        setattr(row, name, value)
    await session.flush()
    return row

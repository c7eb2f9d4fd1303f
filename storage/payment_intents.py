"""The payment intents table: an intent's row, and how it is told of."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import EVENT_TYPES, EventData
from domain.errors import DuplicateRequest
from domain.money import minor_to_decimal
from domain.payment_intent import PaymentIntentRequest
from domain.saga import SagaInfo
from storage.payment_intent_tables import PaymentIntent


async def create(
    session: AsyncSession, saga: SagaInfo, request: PaymentIntentRequest, said: dict[str, Any]
) -> PaymentIntent:
    """The accepted row; made here when no API accepted it. Raises DuplicateRequest."""
    assert saga.deadline_at is not None, "an intent does not live for ever"
    row = await session.get(PaymentIntent, request.intent_id)
    if row is None:
        row = PaymentIntent(
            id=request.intent_id,
            tenant_id=saga.tenant_id,
            payer_account=request.payer_account,
            merchant_id=request.merchant_id,
            merchant_name=said.get("merchant_name") or request.merchant_id,
            asset_code=request.asset_code,
            network=request.network,
            amount_minor=request.money.amount_minor,
            fee_minor=request.fee.amount_minor,
            required_confirmations=request.confirmations,
            intent_metadata=said.get("metadata") or {},
            workflow_id=saga.workflow_id,
            expires_at=saga.deadline_at,
        )
        session.add(row)
    if row.workflow_id != saga.workflow_id:
        raise DuplicateRequest(f"{request.intent_id} is the id of another payment intent")
    row.status = "submitting" if request.authorized else "awaiting_auth"
    row.expires_at = saga.deadline_at
    await session.flush()
    return row


async def change(session: AsyncSession, intent_id: str, **values: Any) -> PaymentIntent:
    row = await session.get_one(PaymentIntent, intent_id)
    for name, value in values.items():
        setattr(row, name, value)
    await session.flush()
    return row


def told(row: PaymentIntent, turn: str, **more: Any) -> EventData:
    """The event `payment_intent.{turn}` of this row."""
    common = {
        "intent_id": row.id,
        "merchant": {"id": row.merchant_id, "display_name": row.merchant_name},
        "asset": row.asset_code,
        "network": row.network,
        "amount": minor_to_decimal(row.amount_minor, row.asset_code),
        "amount_minor": row.amount_minor,
        "fees_estimate": {
            "amount": minor_to_decimal(row.fee_minor, row.asset_code),
            "amount_minor": row.fee_minor,
            "asset_code": row.asset_code,
        },
        "metadata": row.intent_metadata,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "required_confirmations": row.required_confirmations,
    }
    return EVENT_TYPES[f"payment_intent.{turn}"].model_validate(common | more)

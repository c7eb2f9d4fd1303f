"""The bridge tables: a quote that is used once, a transfer's row, and how it is told of."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from domain.bridge import DAY, BridgeQuote, BridgeTransferRequest, DayUse, Route
from domain.catalogue import EVENT_TYPES, EventData
from domain.errors import DuplicateRequest, QuoteExpired
from domain.money import Money, minor_to_decimal
from domain.reference_rates import value_in_usd
from domain.saga import SagaInfo
from domain.wallets import wallet_address
from storage.bridge_tables import Bridge, BridgeQuoteRow
from storage.kept import kept
from storage.ledger_tables import Account
from storage.types import utc_now


async def add_quote(
    session: AsyncSession, tenant_id: str, route: Route, money: Money, quote: BridgeQuote
) -> None:
    row = BridgeQuoteRow(
        id=quote.quote_id,
        tenant_id=tenant_id,
        from_chain=route.from_chain,
        to_chain=route.to_chain,
        protocol=route.protocol,
        asset_code=route.asset_code,
        amount_minor=money.amount_minor,
        fee_minor=quote.fee_minor,
        expires_at=quote.expires_at,
    )
    session.add(row)
    await session.flush()


async def use_quote(
    session: AsyncSession, tenant_id: str, quote_id: str, request: BridgeTransferRequest
) -> BridgeQuote:
    """Mark the quote as this transfer's. Raises QuoteExpired if it is another's, or not for it."""
    row = await session.get(BridgeQuoteRow, quote_id, with_for_update=True)
    if row is None or row.tenant_id != tenant_id:
        raise QuoteExpired(f"there is no quote {quote_id}", quote_id=quote_id)
    if row.used_by not in (None, request.bridge_id):
        raise QuoteExpired(f"the quote {quote_id} was used before", quote_id=quote_id)
    quoted = (row.from_chain, row.to_chain, row.protocol, row.asset_code, row.amount_minor)
    asked = (request.from_chain, request.to_chain, request.protocol, request.asset_code)
    if quoted != (*asked, request.money.amount_minor):
        raise QuoteExpired(f"the quote {quote_id} is for something else", quote_id=quote_id)
    row.used_by = request.bridge_id
    return BridgeQuote(row.id, row.fee_minor, row.expires_at)


async def check_new(session: AsyncSession, bridge_id: str) -> None:
    """Raises DuplicateRequest."""
    if await session.get(Bridge, bridge_id) is not None:
        raise DuplicateRequest(f"{bridge_id} is the id of another bridge transfer")


async def open_bridge(
    session: AsyncSession, saga: SagaInfo, request: BridgeTransferRequest, quote: BridgeQuote
) -> Bridge:
    said = await kept(session, saga.workflow_id)
    credited = request.credited_account
    recipient = request.recipient_address
    if recipient is None:
        assert credited is not None
        recipient = wallet_address(saga.tenant_id, credited, request.to_chain)
    row = Bridge(
        id=request.bridge_id,
        tenant_id=saga.tenant_id,
        workflow_id=saga.workflow_id,
        quote_id=quote.quote_id,
        from_account=request.from_account,
        to_account=credited,
        sender_address=wallet_address(saga.tenant_id, request.from_account, request.from_chain),
        recipient_address=recipient,
        from_chain=request.from_chain,
        to_chain=request.to_chain,
        protocol=request.protocol,
        asset_code=request.asset_code,
        amount_minor=request.money.amount_minor,
        usd_minor=value_in_usd(request.money).amount_minor,
        fee_minor=quote.fee_minor,
        bridge_metadata=said.get("metadata") or {},
        estimated_completion_at=utc_now() + request.route.usual,
    )
    session.add(row)
    await session.flush()
    return row


async def change(session: AsyncSession, bridge_id: str, **values: Any) -> Bridge:
    row = await session.get_one(Bridge, bridge_id)
    for name, value in values.items():
        setattr(row, name, value)
    await session.flush()
    return row


async def day_use(session: AsyncSession, request: BridgeTransferRequest, now: datetime) -> DayUse:
    """What the account sent in the last 24 hours. Others that want to know wait for our commit."""
    accounts = select(Account).where(col(Account.id).in_(request.accounts))
    await session.execute(accounts.order_by(col(Account.id)).with_for_update())
    query = select(func.coalesce(func.sum(Bridge.usd_minor), 0), func.count()).where(
        col(Bridge.from_account) == request.from_account,
        col(Bridge.created_at) > now - DAY,
        col(Bridge.status).in_(("locked", "initiated", "completed")),
        col(Bridge.id) != request.bridge_id,
    )
    usd_minor, count = (await session.execute(query)).one()
    return DayUse(int(usd_minor), int(count))


def told(row: Bridge, turn: str, **more: Any) -> EventData:
    """The event `bridge.{turn}` of this row."""
    common = {
        "bridge_tx_id": row.id,
        "quote_id": row.quote_id,
        "source_chain": row.from_chain,
        "destination_chain": row.to_chain,
        "source_tx_hash": row.source_tx_hash,
        "sender_address": row.sender_address,
        "recipient_address": row.recipient_address,
        "amount": minor_to_decimal(row.amount_minor, row.asset_code),
        "amount_minor": row.amount_minor,
        "token": row.asset_code,
        "bridge_protocol": row.protocol,
        "fee_amount": minor_to_decimal(row.fee_minor, row.asset_code),
        "fee_amount_minor": row.fee_minor,
        "fee_currency": row.asset_code,
        "metadata": row.bridge_metadata,
        "created_at": row.created_at,
        "estimated_completion_at": row.estimated_completion_at,
    }
    return EVENT_TYPES[f"bridge.{turn}"].model_validate(common | more)


def completed(row: Bridge) -> EventData:
    assert row.received_minor is not None
    assert row.completed_at is not None
    assert row.submitted_at is not None
    took = row.completed_at - row.submitted_at
    return told(
        row,
        "completed",
        destination_tx_hash=row.arrival_tx_hash,
        amount_received=minor_to_decimal(row.received_minor, row.asset_code),
        amount_received_minor=row.received_minor,
        confirmations=row.confirmations,
        duration_seconds=max(0, int(took.total_seconds())),
        completed_at=row.completed_at,
    )

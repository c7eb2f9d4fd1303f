"""Look things up for whoever asks: the story behind a delivery, an event, a run, an account."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ledger import ACCOUNTS
from storage.ledger_tables import Account, LedgerAccount
from storage.outbox import DELIVERIES, EVENTS
from storage.payment_tables import Payment
from storage.recording import ATTEMPTS
from storage.redelivery import CHANGES
from storage.saga_log import RUNS, STEPS
from storage.tables import Attempt, Delivery, DeliveryChange, Event, SagaRun, SagaStep, Transfer

OWNERS: Any = Account.__table__  # type: ignore[attr-defined]
TRANSFERS: Any = Transfer.__table__  # type: ignore[attr-defined]
PAYMENTS: Any = Payment.__table__  # type: ignore[attr-defined]

DELIVERY_ORDER = (DELIVERIES.c.id,)
EVENT_ORDER = (EVENTS.c.id,)
RUN_ORDER = (RUNS.c.accepted_at, RUNS.c.workflow_id)
ACCOUNT_ORDER = (OWNERS.c.created_at, OWNERS.c.id)
ATTEMPT_ORDER = (ATTEMPTS.c.delivery_id, ATTEMPTS.c.number)
TRANSFER_ORDER = (TRANSFERS.c.created_at, TRANSFERS.c.id)
PAYMENT_ORDER = (PAYMENTS.c.created_at, PAYMENTS.c.id)


def deliveries_of(tenant_id: str) -> Select[Delivery]:
    return select(Delivery).where(DELIVERIES.c.tenant_id == tenant_id)


def events_of(tenant_id: str) -> Select[Event]:
    return select(Event).where(EVENTS.c.tenant_id == tenant_id)


def runs_of(tenant_id: str) -> Select[SagaRun]:
    return select(SagaRun).where(RUNS.c.tenant_id == tenant_id)


def accounts_of(tenant_id: str) -> Select[Account]:
    return select(Account).where(OWNERS.c.tenant_id == tenant_id)


def transfers_of(tenant_id: str) -> Select[Transfer]:
    return select(Transfer).where(TRANSFERS.c.tenant_id == tenant_id)


def payments_of(tenant_id: str) -> Select[Payment]:
    return select(Payment).where(PAYMENTS.c.tenant_id == tenant_id)


def attempts_to(
    endpoint_id: str, *, outcome: str | None = None, status_code: int | None = None
) -> Select[Attempt]:
    query = (
        select(Attempt)
        .join(Delivery, DELIVERIES.c.id == ATTEMPTS.c.delivery_id)
        .where(DELIVERIES.c.endpoint_id == endpoint_id)
    )
    if outcome is not None:
        query = query.where(ATTEMPTS.c.outcome == outcome)
    return query if status_code is None else query.where(ATTEMPTS.c.status_code == status_code)


async def attempts_at(session: AsyncSession, delivery_id: str) -> Sequence[Attempt]:
    query = select(Attempt).where(ATTEMPTS.c.delivery_id == delivery_id)
    return (await session.scalars(query.order_by(ATTEMPTS.c.number))).all()


async def changes_of(session: AsyncSession, delivery_id: str) -> Sequence[DeliveryChange]:
    query = select(DeliveryChange).where(CHANGES.c.delivery_id == delivery_id)
    return (await session.scalars(query.order_by(CHANGES.c.id))).all()


async def steps_of(session: AsyncSession, workflow_id: str) -> Sequence[SagaStep]:
    query = select(SagaStep).where(STEPS.c.workflow_id == workflow_id)
    return (await session.scalars(query.order_by(STEPS.c.started_at, STEPS.c.position))).all()


async def story_of(session: AsyncSession, workflow_id: str, *, after: int = 0) -> Sequence[Event]:
    """The workflow's events, in the order in which they were told."""
    query = select(Event).where(EVENTS.c.workflow_id == workflow_id, EVENTS.c.sequence > after)
    return (await session.scalars(query.order_by(EVENTS.c.sequence))).all()


async def deliveries_of_event(session: AsyncSession, event_id: str) -> Sequence[Delivery]:
    query = select(Delivery).where(DELIVERIES.c.event_id == event_id)
    return (await session.scalars(query.order_by(DELIVERIES.c.id))).all()


async def balances_of(
    session: AsyncSession, account_ids: Sequence[str]
) -> dict[str, list[LedgerAccount]]:
    """Each account's ledger accounts, one per asset."""
    query = select(LedgerAccount).where(ACCOUNTS.c.account_id.in_(account_ids))
    found: dict[str, list[LedgerAccount]] = {account_id: [] for account_id in account_ids}
    for row in await session.scalars(query.order_by(ACCOUNTS.c.asset_code)):
        assert row.account_id is not None
        found[row.account_id].append(row)
    return found

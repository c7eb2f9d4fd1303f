"""Statements: what the books say happened to customers' money, line by line, the newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.ledger import ENTRIES, POSTINGS
from storage.ledger_change import ACCOUNTS
from storage.listing import COUNT_MAX, Listed, Slice
from storage.payment_tables import Payment
from storage.views import PAYMENTS, TRANSFERS

COLUMNS = (
    POSTINGS.c.entry_id,
    POSTINGS.c.line,
    POSTINGS.c.direction,
    POSTINGS.c.amount_minor,
    POSTINGS.c.account_version,
    POSTINGS.c.balance_after,
    ACCOUNTS.c.account_id,
    ACCOUNTS.c.asset_code,
    ENTRIES.c.kind,
    ENTRIES.c.workflow_id,
    ENTRIES.c.recorded_at,
)
OF_ENTRIES = (ENTRIES.c.recorded_at, ENTRIES.c.id, POSTINGS.c.line)


@dataclass(frozen=True)
class StatementLine:
    """One posting on a customer's account. Its amount is what the balance moved by, unsigned."""

    entry_id: str
    line: int
    direction: int
    amount_minor: int
    account_version: int
    balance_after: int
    account_id: str
    asset_code: str
    kind: str
    workflow_id: str | None
    recorded_at: datetime


async def lines_of_tenant(
    session: AsyncSession, tenant_id: str, wanted: Slice, *, asset_code: str | None = None
) -> Listed[StatementLine]:
    """Every customer's lines together."""
    query = _lines().where(ENTRIES.c.tenant_id == tenant_id, ACCOUNTS.c.account_id.is_not(None))
    if asset_code is not None:
        query = query.where(ACCOUNTS.c.asset_code == asset_code)
    total = await _count(session, query)
    if wanted.after:
        query = query.where(_before(wanted.after))
    query = query.order_by(*(column.desc() for column in OF_ENTRIES))
    found = await _read(session, query.limit(wanted.limit + 1).offset(wanted.offset))
    rows, more = found[: wanted.limit], len(found) > wanted.limit
    after = (rows[-1].recorded_at, rows[-1].entry_id, rows[-1].line) if more else ()
    return Listed(rows, min(total, COUNT_MAX), total <= COUNT_MAX, after)


async def lines_of_account(
    session: AsyncSession, account_id: str, wanted: Slice, *, asset_code: str | None = None
) -> Listed[StatementLine]:
    """One account's lines. Each asset has its own line of versions; here they are merged.

    `after` has the version of each asset up to which lines were seen: so the next slice is found
    by the index, however far down it is. Raises ValueError for an `after` that is not ours.
    """
    ledger_accounts = await _ledger_accounts(session, account_id, asset_code)
    seen = _read_seen(wanted.after)
    most = wanted.offset + wanted.limit + 1
    candidates: list[list[StatementLine]] = []
    for id in ledger_accounts:
        query = _lines().where(POSTINGS.c.ledger_account_id == id)
        if id in seen:
            query = query.where(POSTINGS.c.account_version < seen[id])
        query = query.order_by(POSTINGS.c.account_version.desc()).limit(most)
        candidates.append(await _read(session, query))
    merged = merge(*candidates, key=lambda line: line.recorded_at, reverse=True)
    found = list(islice(merged, wanted.offset, most))
    rows = found[: wanted.limit]
    for row in rows:
        seen[f"{row.account_id}/{row.asset_code}"] = row.account_version
    more = len(found) > wanted.limit
    after = tuple(f"{id}:{version}" for id, version in sorted(seen.items())) if more else ()
    total = sum([await _count(session, _versions(id)) for id in ledger_accounts])
    return Listed(rows, min(total, COUNT_MAX), total <= COUNT_MAX, after)


def _read_seen(after: tuple[Any, ...]) -> dict[str, int]:
    """Raises ValueError."""
    parts = [str(one).rpartition(":") for one in after]
    return {id: int(version) for id, _, version in parts}


async def find_line(
    session: AsyncSession, ledger_account_id: str, version: int, *, tenant_id: str
) -> StatementLine | None:
    query = _lines().where(
        POSTINGS.c.ledger_account_id == ledger_account_id,
        POSTINGS.c.account_version == version,
        ENTRIES.c.tenant_id == tenant_id,
        ACCOUNTS.c.account_id.is_not(None),
    )
    return next(iter(await _read(session, query)), None)


async def line_of_run(
    session: AsyncSession, workflow_id: str, account_id: str
) -> StatementLine | None:
    """The first line that a run's entries made on this account: entries are named by their step."""
    query = _lines().where(
        POSTINGS.c.entry_id > f"{workflow_id}/",
        POSTINGS.c.entry_id < f"{workflow_id}0",  # The character after a slash.
        ACCOUNTS.c.account_id == account_id,
    )
    return next(iter(await _read(session, query.order_by(ENTRIES.c.recorded_at).limit(1))), None)


@dataclass(frozen=True)
class Behind:
    """What the lines of a page are of: transfers and payments, by workflow id."""

    references: dict[str, str | None]
    payments: dict[str, Payment]


async def behind(session: AsyncSession, lines: Sequence[StatementLine]) -> Behind:
    ids = {line.workflow_id.partition("/")[2] for line in lines if line.workflow_id}
    transfers = select(TRANSFERS.c.workflow_id, TRANSFERS.c.reference).where(
        TRANSFERS.c.id.in_(ids)
    )
    payments = select(Payment).where(PAYMENTS.c.id.in_(ids))
    return Behind(
        {row.workflow_id: row.reference for row in await session.execute(transfers)},
        {payment.workflow_id: payment for payment in await session.scalars(payments)},
    )


def _lines() -> Select[Any]:
    return (
        select(*COLUMNS)
        .join(ENTRIES, ENTRIES.c.id == POSTINGS.c.entry_id)
        .join(ACCOUNTS, ACCOUNTS.c.id == POSTINGS.c.ledger_account_id)
    )


def _versions(ledger_account_id: str) -> Select[Any]:
    return select(POSTINGS.c.line).where(POSTINGS.c.ledger_account_id == ledger_account_id)


async def _ledger_accounts(
    session: AsyncSession, account_id: str, asset_code: str | None
) -> Sequence[str]:
    query = select(ACCOUNTS.c.id).where(ACCOUNTS.c.account_id == account_id)
    if asset_code is not None:
        query = query.where(ACCOUNTS.c.asset_code == asset_code)
    return (await session.scalars(query.order_by(ACCOUNTS.c.id))).all()


async def _read(session: AsyncSession, query: Select[Any]) -> list[StatementLine]:
    return [StatementLine(**row) for row in (await session.execute(query)).mappings()]


async def _count(session: AsyncSession, query: Select[Any]) -> int:
    some = query.limit(COUNT_MAX + 1).subquery()
    return await session.scalar(select(func.count()).select_from(some)) or 0


def _before(after: tuple[Any, ...]) -> Any:
    recorded_at, entry_id, line = after
    return and_(
        ENTRIES.c.recorded_at <= recorded_at,
        or_(
            ENTRIES.c.recorded_at < recorded_at,
            ENTRIES.c.id < entry_id,
            and_(ENTRIES.c.id == entry_id, POSTINGS.c.line < line),
        ),
    )

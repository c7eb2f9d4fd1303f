"""Quotas as rows: what a process takes of one, to spend without asking again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import SystemRateLimitWarning
from domain.quota import WARN_AT_PERCENT, Quota
from storage.access_tables import QuotaUse
from storage.outbox import publish
from storage.unless_there import insert_unless_there

USES: Any = QuotaUse.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Wanted:
    """A quota of somebody's, and how much of it: less what was taken before and not spent."""

    subject: str
    quota: Quota
    tokens: int
    given_back: int = 0


@dataclass(frozen=True)
class Taken:
    """How many were there to take, and when it is full again."""

    tokens: int
    full_at: datetime
    crossed: bool


@dataclass(frozen=True)
class WarnedKey:
    """Of whom a tenant is told that a quota is nearly used up."""

    tenant_id: str
    key_id: str
    key_prefix: str


async def take(
    session: AsyncSession, wanted: Sequence[Wanted], *, now: datetime
) -> dict[str, Taken]:
    """Take what is there, up to what is wanted. `crossed`, once per window: 80 % are used now."""
    found = await _locked(session, sorted({one.subject for one in wanted}))
    taken: dict[str, Taken] = {}
    for one in wanted:
        row = found[one.subject]
        full_at = one.quota.after(row.full_at, now, -one.given_back)
        tokens = max(0, min(one.tokens, one.quota.available(full_at, now)))
        full_at = one.quota.after(full_at, now, tokens)
        is_warned = row.warned_until is not None and now < row.warned_until
        crosses = not is_warned and one.quota.is_worth_a_warning(full_at, now)
        values: dict[str, Any] = {"full_at": full_at}
        if crosses:
            values["warned_until"] = now + one.quota.window
        await session.execute(update(USES).where(USES.c.subject == one.subject).values(**values))
        taken[one.subject] = Taken(tokens, full_at, crosses)
    return taken


async def warn(
    session: AsyncSession, key: WarnedKey, wanted: Wanted, taken: Taken, *, now: datetime
) -> None:
    """Tell the tenant, in the transaction that crossed the line."""
    used = min(wanted.quota.used(taken.full_at, now), wanted.quota.limit)
    warning = SystemRateLimitWarning(
        api_key_id=key.key_id,
        key_prefix=key.key_prefix,
        limit_type=wanted.subject.partition(":")[0],
        limit=wanted.quota.limit,
        remaining=wanted.quota.limit - used,
        used=used,
        threshold_percent=WARN_AT_PERCENT,
        window_seconds=int(wanted.quota.window.total_seconds()),
        resets_at=taken.full_at.replace(microsecond=0),
    )
    await publish(session, key.tenant_id, [(warning, None)], now=now)


async def _locked(session: AsyncSession, subjects: Sequence[str]) -> dict[str, Any]:
    query = select(USES).where(USES.c.subject.in_(subjects)).order_by(USES.c.subject)
    rows = {row.subject: row for row in await session.execute(query.with_for_update())}
    missing = [{"subject": subject} for subject in subjects if subject not in rows]
    if missing:
        await session.execute(insert_unless_there(session, QuotaUse), missing)
        rows = {row.subject: row for row in await session.execute(query.with_for_update())}
    return rows

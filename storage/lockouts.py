"""Lockouts: bad keys counted by the address they came from, in all processes together.

By address and never by key: else anybody could lock out a customer whose key's id they know.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.catalogue import SystemSecurityAlert
from domain.ids import new_id
from storage.access_tables import ApiKey, AuthFailure
from storage.outbox import publish
from storage.unless_there import insert_unless_there

FAILURES: Any = AuthFailure.__table__  # type: ignore[attr-defined]
COUNTED_FOR = timedelta(minutes=1)


@dataclass(frozen=True)
class LockoutRule:
    failures_max: int
    lasts: timedelta


async def locked_until(session: AsyncSession, address: str, *, now: datetime) -> datetime | None:
    """Until when nothing from this address is heard."""
    found: datetime | None = await session.scalar(
        select(FAILURES.c.locked_until).where(FAILURES.c.address == address)
    )
    return found if found is not None and now < found else None


async def note_failure(
    session: AsyncSession, address: str, key_id: str | None, rule: LockoutRule, *, now: datetime
) -> datetime | None:
    """Count a bad key; at the last one allowed lock the address, and tell whose key was tried.

    Returns until when it is locked.
    """
    row = {"address": address, "failures": 0, "since": now}
    await session.execute(insert_unless_there(session, AuthFailure).values(row))
    found = await session.get_one(AuthFailure, address, with_for_update=True)
    if found.locked_until is not None and now < found.locked_until:
        return found.locked_until
    if now - found.since > COUNTED_FOR:
        found.failures, found.since, found.key_id = 0, now, None
    found.failures += 1
    found.key_id = key_id or found.key_id
    if found.failures >= rule.failures_max:
        found.locked_until, found.failures = now + rule.lasts, 0
        await _tell(session, found, rule, now=now)
    await session.flush()
    return found.locked_until if found.failures == 0 else None


async def _tell(
    session: AsyncSession, failure: AuthFailure, rule: LockoutRule, *, now: datetime
) -> None:
    """Only where a real key's id was tried is there somebody to tell."""
    key = await session.get(ApiKey, failure.key_id) if failure.key_id else None
    if key is None:
        return
    seconds = int(COUNTED_FOR.total_seconds())
    alert = SystemSecurityAlert.model_validate(
        {
            "alert_id": new_id("alert"),
            "type": "failed_logins",
            "severity": "high",
            "description": f"{rule.failures_max} requests with a wrong API key from one address "
            f"within {seconds} seconds: it is locked out for a while",
            "ip": failure.address,
            "actor": key.id,
            "detected_at": now,
            "recommended_action": "Rotate the API key if the address is not yours.",
        }
    )
    await publish(session, key.tenant_id, [(alert, None)], now=now)

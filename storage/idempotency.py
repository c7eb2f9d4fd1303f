"""Idempotency keys: the answer to a POST, kept in the transaction of its effect."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import IdempotencyKey
from storage.types import utc_now

ANSWERS: Any = IdempotencyKey.__table__  # type: ignore[attr-defined]
KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class AskedOnce:
    """Which request this is: the same key on another route, or of another tenant, is another."""

    tenant_id: str
    route: str
    key: str
    fingerprint: str


@dataclass(frozen=True)
class KeptAnswer:
    """What was answered. The body is sealed: an answer may show a secret, once."""

    fingerprint: str
    status_code: int
    sealed_body: str
    headers: dict[str, str]


async def find_answer(session: AsyncSession, asked: AskedOnce) -> KeptAnswer | None:
    """The answer given before, unless it is older than a day."""
    row = (await session.execute(select(ANSWERS).where(*_is(asked)))).one_or_none()
    if row is None:
        return None
    if row.expires_at <= utc_now():
        await session.execute(delete(ANSWERS).where(*_is(asked)))
        return None
    return KeptAnswer(row.fingerprint, row.status_code, row.answer["sealed"], row.headers)


async def keep_answer(session: AsyncSession, asked: AskedOnce, answer: KeptAnswer) -> None:
    """Of two at once the database lets one in; the other looks again and finds its answer."""
    now = utc_now()
    await session.execute(
        insert(ANSWERS).values(
            tenant_id=asked.tenant_id,
            route=asked.route,
            key=asked.key,
            fingerprint=asked.fingerprint,
            created_at=now,
            expires_at=now + KEPT_FOR,
            **_columns(answer),
        )
    )


async def replace_answer(session: AsyncSession, asked: AskedOnce, answer: KeptAnswer) -> None:
    """Keep the outcome instead of the acceptance, once somebody waited for it."""
    await session.execute(update(ANSWERS).where(*_is(asked)).values(**_columns(answer)))


async def forget_expired(session: AsyncSession, *, now: datetime, most: int = 1_000) -> None:
    """Delete old answers, a batch at a time."""
    old = select(ANSWERS.c.tenant_id, ANSWERS.c.route, ANSWERS.c.key)
    for row in await session.execute(old.where(ANSWERS.c.expires_at < now).limit(most)):
        await session.execute(delete(ANSWERS).where(*_is(row)))


def _columns(answer: KeptAnswer) -> dict[str, Any]:
    return {
        "status_code": answer.status_code,
        "answer": {"sealed": answer.sealed_body},
        "headers": answer.headers,
    }


def _is(asked: Any) -> tuple[Any, ...]:
    return (
        ANSWERS.c.tenant_id == asked.tenant_id,
        ANSWERS.c.route == asked.route,
        ANSWERS.c.key == asked.key,
    )

"""Everything that is encrypted at rest, in whichever table: found by key, replaced if unchanged.

Signing secrets, the custom headers of endpoints, and answers kept for idempotency keys. Each sealed
text starts with the id of its key (runtime/vault.py), and is bound to the row it stands in.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.idempotency import ANSWERS
from storage.outbox import ENDPOINTS
from storage.secrets import SECRETS

KEY_ID_BYTES = 4
# Five characters of base64 are the first 30 of the key id's 32 bits.
PREFIX_CHARACTERS = 5


class SealedKind(StrEnum):
    SECRETS = "signing secrets"
    HEADERS = "custom headers"
    ANSWERS = "kept answers"


@dataclass(frozen=True)
class Sealed:
    """One sealed text: the key of its row, and what it is bound to."""

    kind: SealedKind
    row: tuple[str, ...]
    text: bytes
    bound_to: str


ANSWER_KEY = (ANSWERS.c.tenant_id, ANSWERS.c.route, ANSWERS.c.key)
ANSWER_TEXT = ANSWERS.c.answer["sealed"].as_string()


async def count_by_key(session: AsyncSession, kind: SealedKind) -> dict[str, int]:
    """How many texts each key sealed. Of answers only the start of the key's id is known."""
    key: Any
    if kind is SealedKind.SECRETS:
        key, where = SECRETS.c.key_id, SECRETS.c.key_id.is_not(None)
    elif kind is SealedKind.HEADERS:
        key = func.substr(ENDPOINTS.c.headers_sealed, 1, KEY_ID_BYTES)
        where = ENDPOINTS.c.headers_sealed.is_not(None)
    else:
        key, where = func.substr(ANSWER_TEXT, 1, PREFIX_CHARACTERS), ANSWER_TEXT.is_not(None)
    rows = await session.execute(select(key, func.count()).where(where).group_by(key))
    return {_key_text(kind, key): number for key, number in rows}


def _key_text(kind: SealedKind, key: Any) -> str:
    if kind is SealedKind.HEADERS:
        return bytes(key).hex()
    if kind is SealedKind.ANSWERS:
        return base64.b64decode(f"{key}AAA").hex()[:7]
    return str(key)


async def sealed_by_others(
    session: AsyncSession, kind: SealedKind, key_id: str, *, after: tuple[str, ...], most: int
) -> Sequence[Sealed]:
    """Texts that another key than this one sealed, in the order of their rows' keys."""
    if kind is SealedKind.ANSWERS:
        return await _answers(session, key_id, after, most)
    query, id = _of_another_key(kind, key_id)
    if after:
        query = query.where(id > after[0])
    rows = await session.execute(query.order_by(id).limit(most))
    return [Sealed(kind, (row_id,), text, row_id) for row_id, text in rows]


def _of_another_key(kind: SealedKind, key_id: str) -> tuple[Select[Any], Any]:
    """A query for id and text, and the column of the id."""
    if kind is SealedKind.SECRETS:
        query = select(SECRETS.c.id, SECRETS.c.sealed).where(SECRETS.c.key_id != key_id)
        return query, SECRETS.c.id
    sealed = ENDPOINTS.c.headers_sealed
    query = select(ENDPOINTS.c.id, sealed).where(
        sealed.is_not(None), func.substr(sealed, 1, KEY_ID_BYTES) != bytes.fromhex(key_id)
    )
    return query, ENDPOINTS.c.id


async def _answers(
    session: AsyncSession, key_id: str, after: tuple[str, ...], most: int
) -> list[Sealed]:
    prefix = base64.b64encode(bytes.fromhex(key_id)).decode()[:PREFIX_CHARACTERS]
    query = select(*ANSWER_KEY, ANSWER_TEXT).where(
        func.substr(ANSWER_TEXT, 1, PREFIX_CHARACTERS) != prefix
    )
    if after:
        query = query.where(tuple_(*ANSWER_KEY) > after)
    rows = await session.execute(query.order_by(*ANSWER_KEY).limit(most))
    return [
        Sealed(SealedKind.ANSWERS, (*key,), base64.b64decode(text), " ".join(key))
        for *key, text in rows
    ]


async def replace(session: AsyncSession, old: Sealed, text: bytes, key_id: str) -> bool:
    """Put `text` in the place of the old one. False if somebody changed the row meanwhile."""
    if old.kind is SealedKind.SECRETS:
        statement = (
            update(SECRETS)
            .where(SECRETS.c.id == old.row[0], SECRETS.c.sealed == old.text)
            .values(sealed=text, key_id=key_id)
        )
    elif old.kind is SealedKind.HEADERS:
        statement = (
            update(ENDPOINTS)
            .where(ENDPOINTS.c.id == old.row[0], ENDPOINTS.c.headers_sealed == old.text)
            .values(headers_sealed=text)
        )
    else:
        statement = (
            update(ANSWERS)
            .where(
                *(column == value for column, value in zip(ANSWER_KEY, old.row, strict=True)),
                base64.b64encode(old.text).decode() == ANSWER_TEXT,
            )
            .values(answer={"sealed": base64.b64encode(text).decode()})
        )
    changed: Any = await session.execute(statement)
    return bool(changed.rowcount)

"""Lists: a page by its number, or what follows a cursor; never a scan of the whole table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from domain.ids import CROCKFORD, ID_CHARACTERS

Row = TypeVar("Row", bound=SQLModel)
Item = TypeVar("Item")

# Counting further would read what nobody will page through: then the total is a lower bound.
COUNT_MAX = 10_000


@dataclass(frozen=True)
class Slice:
    """Which rows: `after` are the ordering columns' values of the last row seen."""

    limit: int
    offset: int = 0
    after: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Listed(Generic[Item]):
    """`after` is where the next slice begins; empty if there is none."""

    rows: Sequence[Item]
    total: int
    total_is_exact: bool
    after: tuple[Any, ...]


async def list_rows(
    session: AsyncSession, query: Select[Row], order: Sequence[Any], wanted: Slice
) -> Listed[Row]:
    """The newest first. `order` are columns of one index, the last of them unique."""
    total = await _count(session, query)
    if wanted.after:
        query = query.where(_beyond(order, wanted.after))
    listed = await _slice(session, query, order, wanted)
    return replace(listed, total=min(total, COUNT_MAX), total_is_exact=total <= COUNT_MAX)


async def _slice(
    session: AsyncSession, query: Select[Row], order: Sequence[Any], wanted: Slice
) -> Listed[Row]:
    query = query.order_by(*(column.desc() for column in order))
    query = query.limit(wanted.limit + 1).offset(wanted.offset)
    found = (await session.scalars(query)).all()
    rows, more = found[: wanted.limit], len(found) > wanted.limit
    after = tuple(getattr(rows[-1], column.key) for column in order) if more else ()
    return Listed(rows, len(rows), total_is_exact=False, after=after)


async def list_either(
    session: AsyncSession,
    query: Select[Row],
    either: Sequence[ColumnElement[bool]],
    order: Sequence[Any],
    wanted: Slice,
) -> Listed[Row]:
    """Like `list_rows`, of what fulfils one of several conditions, each with its own index."""
    unique = order[-1]
    total = sum([await _count(session, query.where(condition)) for condition in either])
    if wanted.after:
        query = query.where(_beyond(order, wanted.after))
    newest = query.order_by(*(column.desc() for column in order))
    newest = newest.limit(wanted.offset + wanted.limit + 1).with_only_columns(unique)
    parts = [newest.where(condition).subquery() for condition in either]
    ids = union(*(select(part.c[unique.key]) for part in parts))
    listed = await _slice(session, query.where(unique.in_(ids)), order, wanted)
    return replace(listed, total=min(total, COUNT_MAX), total_is_exact=total <= COUNT_MAX)


async def find_own(session: AsyncSession, table: type[Row], id: str, tenant_id: str) -> Row | None:
    """The row, if it is the tenant's own: another tenant's is as absent as one that never was."""
    row = await session.get(table, id)
    return row if row is not None and row.tenant_id == tenant_id else None  # type: ignore[attr-defined]


async def _count(session: AsyncSession, query: Select[Row]) -> int:
    some = query.with_only_columns(*(query.selected_columns[:1])).limit(COUNT_MAX + 1)
    return await session.scalar(select(func.count()).select_from(some.subquery())) or 0


def _beyond(order: Sequence[Any], after: tuple[Any, ...]) -> ColumnElement[bool]:
    """Strictly further down the list: the row values compared as a whole."""
    beyond: ColumnElement[bool] = false()
    for column, value in reversed(list(zip(order, after, strict=True))):
        beyond = or_(column < value, and_(column == value, beyond))
    return and_(order[0] <= after[0], beyond)


def first_id(prefix: str, moment: datetime) -> str:
    """The smallest id that could have been made at `moment`: ids sort by their time."""
    number = max(0, int(moment.timestamp() * 1000)) << 80
    characters = [CROCKFORD[number >> 5 * place & 31] for place in range(ID_CHARACTERS)]
    return f"{prefix}_{''.join(reversed(characters))}"

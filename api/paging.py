"""Pages: `page` and `per_page` as clients know them, and `cursor` for lists without end."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Query, Request
from sqlalchemy import ColumnElement, Integer, Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from api.errors import Invalid
from api.fields import Moment
from api.shapes import Meta, Page, PageLinks
from storage.listing import COUNT_MAX, Listed, Slice, first_id, list_either, list_rows
from storage.types import UtcDateTime

PER_PAGE_DEFAULT: Final = 20
PER_PAGE_MAX: Final = 250
INTEGER_BEYOND: Final = 2**63

Row = TypeVar("Row", bound=SQLModel)
Item = TypeVar("Item")
Shown = TypeVar("Shown")


class Paging:
    """Which page was asked for, and how to answer with it."""

    def __init__(self, request: Request, page: int, per_page: int, cursor: str | None) -> None:
        if page * per_page > COUNT_MAX:
            text = f"pages end at {COUNT_MAX} rows: read on with `cursor` = `meta.next_cursor`"
            raise Invalid({"page": [text]})
        self._request = request
        self._page = page
        self._per_page = per_page
        self._after = _read_cursor(cursor) if cursor else ()

    async def find(
        self,
        session: AsyncSession,
        query: Select[Row],
        order: Sequence[Any],
        *,
        either: Sequence[ColumnElement[bool]] = (),
    ) -> Listed[Row]:
        """The page of this list; with `either`, of what fulfils one of these conditions."""
        wanted = self.wanted(order)
        if either:
            return await list_either(session, query, either, order, wanted)
        return await list_rows(session, query, order, wanted)

    def wanted(self, order: Sequence[Any] = ()) -> Slice:
        """Which rows of a list in this order; an empty order has cursors of its own kind."""
        if self._after and order and not _fits(self._after, order):
            raise another_list()
        offset = 0 if self._after else (self._page - 1) * self._per_page
        return Slice(self._per_page, offset, self._after)

    def show(self, listed: Listed[Item], show: Callable[[Item], Shown]) -> Page[Shown]:
        return self.show_all(listed, [show(row) for row in listed.rows])

    def show_all(self, listed: Listed[Item], shown: list[Shown]) -> Page[Shown]:
        last_page = max(1, -(-listed.total // self._per_page))
        next_cursor = _write_cursor(listed.after) if listed.after else None
        return Page(
            data=shown,
            meta=Meta(
                current_page=self._page,
                per_page=self._per_page,
                total=listed.total,
                last_page=last_page,
                total_is_exact=listed.total_is_exact,
                next_cursor=next_cursor,
            ),
            links=self._links(last_page, next_cursor),
        )

    def _links(self, last_page: int, next_cursor: str | None) -> PageLinks:
        following = None
        if next_cursor and (self._after or self._page >= last_page):
            following = self._link(cursor=next_cursor, page=None)
        elif next_cursor:
            following = self._link(page=self._page + 1)
        previous = self._page > 1 and not self._after
        return PageLinks(
            first=self._link(page=1, cursor=None),
            prev=self._link(page=self._page - 1) if previous else None,
            next=following,
            last=self._link(page=last_page, cursor=None),
        )

    def _link(self, **changed: Any) -> str:
        """Relative, so that it is right behind any proxy."""
        gone = [name for name, value in changed.items() if value is None]
        given = {name: value for name, value in changed.items() if value is not None}
        url = self._request.url.remove_query_params(gone).include_query_params(**given)
        return f"{url.path}?{url.query}" if url.query else url.path


@dataclass(frozen=True)
class Window:
    """From when until when; either end may be open."""

    since: datetime | None = None
    until: datetime | None = None

    def over(self, column: Any) -> list[ColumnElement[bool]]:
        conditions = []
        if self.since is not None:
            conditions.append(column >= self.since)
        if self.until is not None:
            conditions.append(column < self.until)
        return conditions

    def over_ids(self, column: Any, prefix: str) -> list[ColumnElement[bool]]:
        """The same, by the ids: they sort by time, so the primary key finds them."""
        conditions = []
        if self.since is not None:
            conditions.append(column >= first_id(prefix, self.since))
        if self.until is not None:
            conditions.append(column < first_id(prefix, self.until))
        return conditions


def another_list() -> Invalid:
    return Invalid({"cursor": ["this cursor belongs to another list"]})


def window(since: Moment | None = None, until: Moment | None = None) -> Window:
    return Window(since, until)


def paging(
    request: Request,
    page: Annotated[int, Query(ge=1, le=COUNT_MAX)] = 1,
    per_page: Annotated[int, Query(ge=1, le=PER_PAGE_MAX)] = PER_PAGE_DEFAULT,
    cursor: Annotated[
        str | None, Query(max_length=512, description="`meta.next_cursor` of the page before")
    ] = None,
) -> Paging:
    return Paging(request, page, per_page, cursor)


InWindow = Annotated[Window, Depends(window)]
Pages = Annotated[Paging, Depends(paging)]


def _write_cursor(after: tuple[Any, ...]) -> str:
    values = [[v.isoformat()] if isinstance(v, datetime) else v for v in after]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[Any, ...]:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return tuple(_read_place(value) for value in values)
    except (ValueError, TypeError, LookupError, OverflowError, binascii.Error):
        raise Invalid({"cursor": ["this is not a cursor of ours"]}) from None


def _read_place(value: Any) -> Any:
    """A text, an integer that a row may have, or a moment. Raises ValueError and its kin."""
    if isinstance(value, list):
        return datetime.fromisoformat(value[0]).astimezone(UTC)
    if type(value) is int and abs(value) < INTEGER_BEYOND:
        return value
    if isinstance(value, str) and value.isprintable():
        return value
    raise ValueError(value)


def _fits(after: tuple[Any, ...], order: Sequence[Any]) -> bool:
    return [type(value) for value in after] == [_kind(column) for column in order]


def _kind(column: Any) -> type:
    if isinstance(column.type, UtcDateTime):
        return datetime
    return int if isinstance(column.type, Integer) else str

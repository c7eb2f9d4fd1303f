"""One statement for many rows, at the price of its rows: prepared once, not row by row.

SQLAlchemy builds a set of parameters for every row of an `executemany`; on the way of each delivery
that costs as much as SQLite's own work. This does the same once per statement and dialect.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Delete, Dialect, Insert, Update
from sqlalchemy.ext.asyncio import AsyncSession

Process = Callable[[Any], Any]


class Many:
    """An INSERT or UPDATE whose parameters are all bound by name."""

    def __init__(self, statement: Insert | Update | Delete) -> None:
        self._statement = statement
        self._prepared = lru_cache(maxsize=4)(self._prepare)

    async def execute(self, session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        connection = await session.connection()
        text, names, processes = self._prepared(connection.dialect)
        columns = [
            map(process, map(itemgetter(name), rows)) if process else map(itemgetter(name), rows)
            for name, process in zip(names, processes, strict=True)
        ]
        await connection.exec_driver_sql(text, list(zip(*columns, strict=True)))

    def _prepare(self, dialect: Dialect) -> tuple[str, list[str], list[Process | None]]:
        compiled: Any = self._statement.compile(dialect=dialect)
        names: list[str] = compiled.positiontup
        processes = [
            compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
            for name in names
        ]
        return str(compiled), names, processes

"""`column IN (ids)` as one parameter, however many ids: nothing is compiled or planned anew."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, String, any_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession


def among(session: AsyncSession, column: Any, ids: Iterable[str]) -> ColumnElement[bool]:
    wanted = sorted(ids)
    if session.get_bind().dialect.name == "sqlite":
        values = func.json_each(bindparam(None, json.dumps(wanted), String)).table_valued("value")
        is_among: ColumnElement[bool] = column.in_(select(values.c.value))
    else:
        is_among = column == any_(bindparam(None, wanted, ARRAY(String)))
    return is_among

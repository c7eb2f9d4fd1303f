"""Add rows that may be there already, in the words of either database."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession


def insert_unless_there(session: AsyncSession, table: Any) -> Any:
    """An INSERT into the table that leaves alone what is there: `rowcount` says what it added."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()

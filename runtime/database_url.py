"""Database URLs: whichever spelling a person gives, the one that SQLAlchemy's drivers take."""

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

SPELLINGS = 'write "postgresql://user:password@host/database" or "sqlite:///path/to/file"'


def resolve_database_url(text: str) -> str:
    """`postgresql+asyncpg://…` or `sqlite+aiosqlite:///…`. Raises ValueError, with no password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(SPELLINGS) from None
    match url.drivername.partition("+")[0]:
        case "postgres" | "postgresql":
            resolved = _postgresql(url)
        case "sqlite":
            resolved = _sqlite(url)
        case _:
            raise ValueError(SPELLINGS)
    return resolved.render_as_string(hide_password=False)


def _postgresql(url: URL) -> URL:
    # libpq says `sslmode`, asyncpg `ssl`; the values are the same.
    if sslmode := url.query.get("sslmode"):
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": sslmode})
    return url.set(drivername="postgresql+asyncpg")


def _sqlite(url: URL) -> URL:
    if not url.database or url.database == ":memory:":
        raise ValueError("API and worker are two processes: give SQLite a file")
    database = str(Path(url.database).expanduser().absolute())
    return url.set(drivername="sqlite+aiosqlite", database=database)

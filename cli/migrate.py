"""`sagapost migrate`: the schema, and the first API key where its value is given."""

import asyncio

import typer

from cli.console import load_settings, refuse, screen
from runtime.data_folder import make_data_folder
from runtime.errors import CannotStart, DatabaseUnusable, RootKeyUnusable, SchemaTooNew
from runtime.settings import Settings


def migrate() -> None:
    """Bring the database's schema up to date. Running it again changes nothing.

    With SAGAPOST_ROOT_API_KEY it also makes the first tenant and API key, unless they are there.
    """
    settings = load_settings()
    try:
        if not settings.database_url:
            make_data_folder(settings.data_dir)
        asyncio.run(_prepare(settings))
    except CannotStart as error:
        refuse(str(error))


async def _prepare(settings: Settings) -> None:
    await migrate_database(settings)
    screen.print("the database is up to date")
    if settings.root_api_key.get_secret_value():
        await make_first_key(settings)
        screen.print("the first API key is the one of SAGAPOST_ROOT_API_KEY")


async def migrate_database(settings: Settings) -> None:
    """Raises DatabaseUnusable or SchemaTooNew."""
    # Imported here, and below, so that other commands start without them.
    from sqlalchemy.exc import SQLAlchemyError

    from storage.migrate import DatabaseIsNewer, upgrade

    try:
        await asyncio.to_thread(upgrade, settings.resolved_database_url)
    except DatabaseIsNewer as error:
        raise SchemaTooNew(error) from error
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseUnusable(error) from error


async def make_first_key(settings: Settings) -> str | None:
    """The first tenant and API key, once. Returns the key's text where it is known.

    Raises DatabaseUnusable or RootKeyUnusable.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from storage.bootstrap import first_key

    given = settings.root_api_key.get_secret_value() or None
    try:
        return await first_key(settings.resolved_database_url, given)
    except (SQLAlchemyError, OSError) as error:
        raise DatabaseUnusable(error) from error
    except ValueError as error:
        raise RootKeyUnusable(error) from error


def register(app: typer.Typer) -> None:
    app.command()(migrate)

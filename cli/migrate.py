"""`sagapost migrate`."""

import typer

from cli.console import load_settings, screen
from runtime.data_folder import make_data_folder


def migrate() -> None:
    """Bring the database's schema up to date. Running it again changes nothing."""
    from storage.migrate import upgrade  # Imported here, so that other commands start without it.

    settings = load_settings()
    if not settings.database_url:
        make_data_folder(settings.data_dir)
    upgrade(settings.resolved_database_url)
    screen.print("the database is up to date")


def register(app: typer.Typer) -> None:
    app.command()(migrate)

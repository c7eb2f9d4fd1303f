"""`sagapost api`."""

import typer

from cli.console import load_settings
from cli.loop import run_process
from runtime.data_folder import make_data_folder
from runtime.logging import setup_logging


def api() -> None:
    """The API: the control plane, by HTTP."""
    from api.main import run  # Imported here, so that other commands start without it.

    settings = load_settings()
    setup_logging(settings)
    make_data_folder(settings.data_dir)
    run_process(run(settings))


def register(app: typer.Typer) -> None:
    app.command()(api)

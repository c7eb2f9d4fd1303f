"""`sagapost openapi`: the API's OpenAPI document, without a process that serves it."""

import json
import sys

import typer


def openapi() -> None:
    """Print the OpenAPI document of this installation's API, with every saga that is installed."""
    from api.app import document  # Imported here, so that other commands start without it.

    json.dump(document(), sys.stdout, sort_keys=True)


def register(app: typer.Typer) -> None:
    app.command()(openapi)

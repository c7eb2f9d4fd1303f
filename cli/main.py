"""The `sagapost` command: each subcommand is a module of this package."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import typer

from cli import (
    api,
    demo,
    doctor,
    events,
    listen,
    migrate,
    new_saga,
    openapi,
    sagas,
    secrets,
    settings,
    tour,
    trigger,
    up,
    worker,
)

COMMANDS = (
    *(demo, tour, up, listen, trigger, new_saga, sagas, doctor, settings, events, secrets, openapi),
    *(migrate, worker, api),
)


def make_app() -> typer.Typer:
    app = typer.Typer(
        help="Sagapost: a bank's workflows as sagas on Temporal, told by webhooks.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for command in COMMANDS:
        command.register(app)
    return app


def main() -> NoReturn:
    leave(make_app())


def leave(command: Callable[[], object]) -> NoReturn:
    """Run the command and end the process without the interpreter's own ending.

    A process that used the Temporal SDK sometimes crashes there, after its work is done.
    """
    code = 0
    try:
        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except typer.Exit as end:
        code = end.exit_code
    except BaseException:
        traceback.print_exc()
        code = 1
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

"""`sagapost up`: the whole stack on this machine, until Ctrl-C."""

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli.console import EXIT_FAILED, load_settings, refuse, screen
from cli.migrate import make_first_key, migrate_database
from runtime.data_folder import write_private_file
from runtime.errors import CannotStart, ChildFailed
from runtime.ready import Ready
from runtime.settings import Settings, loopback_environment

if TYPE_CHECKING:
    from runtime.stack import Stack

KEY_FILE = "root-key"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ReadyFile = Annotated[
    Path | None,
    typer.Option(help="Write URLs, key and process ids to this file once everything answers."),
]


def up(ready_file: ReadyFile = None) -> None:
    """Start Temporal, the worker and the API, and keep them running until Ctrl-C."""
    from runtime.stack import Stack  # Imported here: it brings in the Temporal SDK.

    settings = load_settings()
    stack = Stack(settings, prepare=prepare_database, notice=screen.print, ready_file=ready_file)
    run_to_the_end(stack)


def run_to_the_end(stack: "Stack") -> None:
    """Run the stack; what keeps it from running is one clear text and an exit code."""
    try:
        asyncio.run(_run_until_signal(stack))
    except CannotStart as error:
        refuse(str(error))
    except (ChildFailed, OSError) as error:
        refuse(str(error), EXIT_FAILED)


async def _run_until_signal(stack: "Stack") -> None:
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, _ask_to_stop, stop)
    screen.print("starting Temporal, the worker and the API …")
    await stack.run(stop, on_ready=lambda ready: _show(ready, stack.settings))
    screen.print("stopped; the state stays in the data folder")


async def prepare_database(settings: Settings) -> str | None:
    """Migrate, make the first tenant and API key once, and tell the key where it is known.

    Raises DatabaseUnusable, SchemaTooNew or RootKeyUnusable.
    """
    await migrate_database(settings)
    key = await make_first_key(settings)
    kept = settings.data_dir / KEY_FILE
    if key is not None:
        write_private_file(kept, f"{key}\n")
        return key
    return kept.read_text().strip() if kept.exists() else None


def _ask_to_stop(stop: asyncio.Event) -> None:
    if not stop.is_set():
        screen.print("stopping …")
        stop.set()


def _show(ready: Ready, settings: Settings) -> None:
    namespace = ready.temporal_namespace
    key = ready.api_key or "made on an earlier start, and not kept in this data folder"
    table = Table.grid(padding=(0, 3))
    table.add_row("  API", f"{ready.api_url}  (its documentation: {ready.api_url}/docs)")
    table.add_row("  API key", key)
    table.add_row("  Temporal UI", f"{ready.temporal_ui_url}/namespaces/{namespace}/workflows")
    table.add_row("  Temporal", f"{ready.temporal_address}, namespace {namespace}")
    table.add_row("  data folder", f"{settings.data_dir}  (logs are in logs/)")
    screen.print("Sagapost is ready", style="bold green")
    screen.print(table)
    if opened := loopback_environment(settings):
        forbid = " ".join(f'{name}=""' for name in opened)
        screen.print(f"  Webhooks may go to this machine by plain http; {forbid} forbids it.")
    screen.print("  Ctrl-C stops everything; what was in flight goes on with the next start.")


def register(app: typer.Typer) -> None:
    app.command()(up)

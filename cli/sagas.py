"""`sagapost sagas`: what an operator does about a run that needs a person."""

import asyncio
import contextlib
import getpass
from typing import Annotated

import typer

from cli.console import EXIT_FAILED, load_settings, refuse, screen
from runtime.settings import Settings

WorkflowId = Annotated[str, typer.Argument(help="The run's workflow id, like transfer/018f….")]
Wait = Annotated[int, typer.Option(min=0, max=600, help="Seconds to wait for the undoing to end.")]


def undo(workflow_id: WorkflowId, *, wait: Wait = 30) -> None:
    """Undo a run that somebody terminated, or the server timed out: give back what it holds."""
    from runtime.undoing import CannotUndo

    settings = load_settings()
    try:
        ended = asyncio.run(_undo(settings, workflow_id, wait))
    except CannotUndo as error:
        refuse(str(error))
    if not ended:
        refuse(f"{workflow_id} is still being undone: look at it in the Temporal UI", EXIT_FAILED)
    screen.print(f"{workflow_id} is undone; `sagapost doctor` tells whether anything is left of it")


async def _undo(settings: Settings, workflow_id: str, wait: int) -> bool:
    from temporalio.client import WorkflowFailureError
    from temporalio.service import RPCError

    from runtime.links import ui_url
    from runtime.temporal import connect
    from runtime.undoing import CannotUndo, undo_run

    try:
        temporal = await connect(settings)
        run_id = await undo_run(temporal, workflow_id, operator=getpass.getuser())
    except (RPCError, RuntimeError) as error:
        raise CannotUndo(f"{workflow_id}: {error}") from error
    screen.print(f"undoing it: {ui_url(settings, workflow_id, run_id)}")
    run = temporal.get_workflow_handle(workflow_id, run_id=run_id)
    try:
        async with asyncio.timeout(wait):
            with contextlib.suppress(WorkflowFailureError):
                await run.result()
    except TimeoutError:
        return False
    return True


def register(app: typer.Typer) -> None:
    sagas = typer.Typer(help="Look after runs that need a person.", no_args_is_help=True)
    sagas.command()(undo)
    # A callback keeps `undo` a subcommand although it is the only one.
    sagas.callback()(lambda: None)
    app.add_typer(sagas, name="sagas")

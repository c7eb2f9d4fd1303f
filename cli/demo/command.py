"""The demo as a command: start everything, run three stories, show and judge what arrived."""

import asyncio
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.console import EXIT_FAILED, refuse
from cli.demo import report
from cli.demo.client import Client
from cli.demo.processes import Listener, NotStarted, start_listener, start_stack
from cli.demo.story import tell_stories, wait_until_delivered

# Few enough that its failures do not open the breaker: that is another story.
CHOSEN_EVENTS = ["transfer.completed", "transfer.failed"]
FAIL_FIRST = 2

Keep = Annotated[bool, typer.Option("--keep", help="Leave the stack running until Ctrl-C.")]

# The table of POSTs is worth a wide line: a terminal that is narrower wraps it.
WIDTH_MIN = 132
console = Console(emoji=False, highlight=False, width=max(Console().width, WIDTH_MIN))


def demo(*, keep: Keep = False) -> None:
    """Run a transfer, a refusal and a compensation, and show every webhook they sent."""
    try:
        is_well = asyncio.run(_demo(keep=keep))
    except NotStarted as error:
        refuse(str(error), EXIT_FAILED)
    if not is_well:
        raise typer.Exit(EXIT_FAILED)


async def _demo(*, keep: bool) -> bool:
    with tempfile.TemporaryDirectory(prefix="sagapost-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with console.status("starting Temporal, the worker and the API …"):
            stack = await start_stack(folder)
        healthy = flaky = None
        try:
            healthy = await start_listener(folder, "healthy")
            flaky = await start_listener(folder, "flaky", "--fail-first", str(FAIL_FIRST))
            report.show_places(console, stack.ready, healthy.url, flaky.url)
            is_well = await _run(stack.ready.api_url, stack.ready.api_key or "", [healthy, flaky])
            if keep:
                await _until_interrupted()
            return is_well
        finally:
            for process in (healthy, flaky, stack):
                if process is not None:
                    await process.stop()


async def _run(api_url: str, api_key: str, listeners: list[Listener]) -> bool:
    healthy, flaky = listeners
    async with Client(api_url, api_key) as client:
        await _register(client, healthy, ["*"])
        await _register(client, flaky, CHOSEN_EVENTS)
        story = await tell_stories(client, console)
        with console.status("webhooks are on their way …") as status:
            undelivered = await wait_until_delivered(
                client, lambda count: status.update(f"{count} webhooks are on their way …")
            )
        received = {listener.name: listener.received() for listener in listeners}
        return report.show(console, story, received, undelivered=undelivered, chosen=CHOSEN_EVENTS)


async def _register(client: Client, listener: Listener, events: list[str]) -> None:
    webhook = await client.post(
        "/v2/webhooks", {"url": f"{listener.url}/hook", "events": events, "name": listener.name}
    )
    listener.tell_secret(webhook["secret"])


async def _until_interrupted() -> None:
    console.print("The stack keeps running; Ctrl-C stops it.")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def register(app: typer.Typer) -> None:
    app.command()(demo)

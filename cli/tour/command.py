"""The tour as a command: start everything, drive every producer, show what arrived of each type."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.console import EXIT_FAILED, refuse
from cli.demo.client import ApiRefused, Client
from cli.demo.processes import Listener, NotStarted, start_listener, start_stack
from cli.demo.story import wait_until_delivered
from cli.tour import accounts, chains, house, partners, report, rules
from cli.tour.guide import Guide, TookTooLong, Visit
from runtime.ready import Ready

ROOMS: tuple[Callable[[Guide], Awaitable[None]], ...] = (
    accounts.see,
    chains.see,
    rules.see,
    partners.see,
    house.see,
)
KEPT = ("SAGAPOST_ROOT_API_KEY",)
# It tries wrong keys on purpose, and may come back within the minute that a lockout lasts.
OWN_SETTINGS = {"SAGAPOST_AUTH_LOCKOUT": "1s"}
ALL_EVENTS = ["*"]
WIDTH_MIN = 132

ReadyFile = Annotated[
    Path | None,
    typer.Option(help="Tour the stack that wrote this file (`sagapost up --ready-file …`)."),
]

console = Console(emoji=False, highlight=False, width=max(Console().width, WIDTH_MIN))


def tour(*, ready_file: ReadyFile = None) -> None:
    """Have each of the 41 types of events happen, and show when it arrived and from where.

    Starts a stack of its own, in SAGAPOST_DATA_DIR where that is set.
    """
    try:
        is_whole = asyncio.run(_tour(ready_file))
    except (NotStarted, ApiRefused, TookTooLong) as error:
        refuse(str(error), EXIT_FAILED)
    if not is_whole:
        raise typer.Exit(EXIT_FAILED)


async def _tour(ready_file: Path | None) -> bool:
    with tempfile.TemporaryDirectory(prefix="sagapost-tour-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if ready_file is not None:
            return await _listen(folder, Ready.read(ready_file))
        with console.status("starting Temporal, the worker and the API …"):
            stack = await start_stack(folder, **_settings())
        try:
            return await _listen(folder, stack.ready)
        finally:
            await stack.stop()


def _settings() -> dict[str, str]:
    settings = OWN_SETTINGS | {name: os.environ[name] for name in KEPT if name in os.environ}
    if data_dir := os.environ.get("SAGAPOST_DATA_DIR"):
        settings["SAGAPOST_DATA_DIR"] = str(Path(data_dir).resolve())
    return settings


async def _listen(folder: Path, ready: Ready) -> bool:
    if ready.api_key is None:
        refuse("this stack has keys already: say which to use, SAGAPOST_ROOT_API_KEY=sp_live_…")
    listener = await start_listener(folder, "tour")
    try:
        async with Client(ready.api_url, ready.api_key) as client:
            return await _walk(client, ready, listener)
    finally:
        await listener.stop()


async def _walk(client: Client, ready: Ready, listener: Listener) -> bool:
    webhook = await client.post(
        "/v2/webhooks", {"url": f"{listener.url}/hook", "events": ALL_EVENTS, "name": "tour"}
    )
    listener.tell_secret(webhook["secret"])
    report.show_places(console, ready, listener.url)
    with _told() as tell:
        guide = Guide(client, ready.api_url, tell)
        await asyncio.gather(*(see(guide) for see in ROOMS))
    with console.status("webhooks are on their way …"):
        await wait_until_delivered(client)
    received = listener.received()
    catalogue = await client.get("/v2/webhooks/events")
    arrivals = report.judge(catalogue, received, await _happened(client, received))
    return report.show(console, ready, arrivals, guide.visits)


async def _happened(client: Client, received: list[dict[str, Any]]) -> dict[str, datetime]:
    """When the first event of each type was committed, by its id."""
    first = {post["event_type"]: post["event_id"] for post in reversed(received)}
    events = [await client.get(f"/v2/events/{id}") for id in first.values()]
    return {event["id"]: datetime.fromisoformat(event["created_at"]) for event in events}


@contextmanager
def _told() -> Iterator[Callable[[Visit], None]]:
    """Show each visit as it ends, under a line that says how many there were."""
    with console.status("the tour begins …") as status:
        count = 0

        def tell(visit: Visit) -> None:
            nonlocal count
            count += 1
            report.show_visit(console, visit)
            status.update(f"{count} workflows have ended …")

        yield tell


def register(app: typer.Typer) -> None:
    app.command()(tour)

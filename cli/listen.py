"""`sagapost listen`: a receiver at the terminal, that verifies and shows what it gets."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from cli.console import EXIT_FAILED, refuse, screen
from cli.receiver import Answers, Received, ReceivedLog, Receiver

Port = Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free port.")]
Secret = Annotated[str | None, typer.Option(help="Verify with this webhook secret (whsec_…).")]
SecretFile = Annotated[
    Path | None,
    typer.Option(help="Verify with the secret in this file, which may be written later."),
]
FailFirst = Annotated[int, typer.Option(min=0, help="Answer 500 to the first POSTs of each event.")]
Status = Annotated[int, typer.Option(min=200, max=599, help="Answer with this status.")]
Forward = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Pass each POST on, and answer what this URL does."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print each POST as a line of JSON.")]
Log = Annotated[Path | None, typer.Option(help="Also append each POST to this file, as JSON.")]


def listen(  # noqa: PLR0913 - these are the options of a command line
    *,
    port: Port,
    host: str = "127.0.0.1",
    secret: Secret = None,
    secret_file: SecretFile = None,
    fail_first: FailFirst = 0,
    status: Status = 200,
    forward: Forward = None,
    as_json: AsJson = False,
    log: Log = None,
) -> None:
    """Receive webhooks, verify their signatures, and print a line for each."""
    if secret is not None:
        _check_secret(secret)
    if forward is not None and not forward.startswith(("http://", "https://")):
        refuse(f"--forward is a URL, like http://127.0.0.1:3000/hooks, not {forward!r}")
    receiver = Receiver(
        _everyone(_print_json if as_json else _print_line, log),
        answers=Answers(status=status, fail_first=fail_first, forward_url=forward),
        secret=lambda: secret or _read_secret(secret_file),
    )
    try:
        asyncio.run(_until_stopped(receiver, host, port, _announce_json if as_json else _announce))
    except OSError as error:
        refuse(f"cannot listen on {host}:{port}: {error.strerror}", EXIT_FAILED)


async def _until_stopped(
    receiver: Receiver, host: str, port: int, announce: Callable[[str], None]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        announce(await receiver.start(host, port))
        await stop.wait()
    finally:
        await receiver.stop()


def _check_secret(secret: str) -> None:
    try:
        Webhook(secret)
    except (EmptyWebhookSecretError, ValueError) as error:
        refuse(f"--secret is not a webhook secret: {error}")


def _read_secret(path: Path | None) -> str | None:
    """The file may come after the first POST: the secret is only known once we are registered."""
    if path is None or not path.exists():
        return None
    return path.read_text().strip() or None


def _everyone(
    show: Callable[[Received], None], log_path: Path | None
) -> Callable[[Received], None]:
    if log_path is None:
        return show
    log = ReceivedLog(log_path)

    def tell(received: Received) -> None:
        log.add(received)
        show(received)

    return tell


def _announce(url: str) -> None:
    screen.print(f"listening on {url}")


def _announce_json(url: str) -> None:
    screen.print(json.dumps({"listening": url}))


def _print_json(received: Received) -> None:
    screen.print(received.as_json())


def _print_line(received: Received) -> None:
    mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("-", "dim")}[received.verified]
    line = Text.assemble(
        f"{received.received_at[11:23]}  {_printable(received.event_type, 'no event type'):<36}  ",
        f"{_printable(received.event_id, 'no id')}  POST {received.attempt}  ",
        (f"{mark} ", style),
        (f"{received.problem or ''} ", "red"),
        f"→ {received.status}",
    )
    screen.print(line)


def _printable(text: object, instead: str) -> str:
    """Anybody may POST here: no escape sequence of theirs reaches the terminal."""
    shown = str(text or f"({instead})")
    return shown if shown.isprintable() else repr(shown)


def register(app: typer.Typer) -> None:
    app.command()(listen)

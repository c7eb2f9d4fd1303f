"""The demo's processes: a whole stack on free ports, and receivers that verify what they get."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.ready import Ready

READY_WITHIN_S = 60
STOP_WITHIN_S = 30
POLL_S = 0.05
# Days in production. The order of things stays, only the waiting is cut.
RETRY_SCHEDULE = "1s,1s,2s,5s"


class NotStarted(Exception):
    """A process of the demo ended, or did not answer in time; its log says why."""


@dataclass
class Running:
    """A child process and the file that its output goes to."""

    process: asyncio.subprocess.Process
    log: Path

    async def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    def failed(self, what: str) -> NotStarted:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
        return NotStarted(f"{what}; the end of its log:\n{tail}")


@dataclass
class RunningStack(Running):
    ready: Ready


@dataclass
class Listener(Running):
    """A receiver: `sagapost listen` in a process of its own."""

    name: str
    url: str
    secret_file: Path
    received_file: Path

    def tell_secret(self, secret: str) -> None:
        self.secret_file.write_text(secret)

    def received(self) -> list[dict[str, Any]]:
        """Every POST so far, in the order in which they came."""
        if not self.received_file.exists():
            return []
        return [json.loads(line) for line in self.received_file.read_text().splitlines()]


async def start_stack(folder: Path, **more_settings: str) -> RunningStack:
    """`sagapost up` in `folder`, on three free ports. Raises NotStarted."""
    api, temporal, ui = _free_ports(3)
    ready_file = folder / "ready.json"
    settings = {
        "SAGAPOST_DATA_DIR": str(folder / "data"),
        "SAGAPOST_API_PORT": str(api),
        "SAGAPOST_TEMPORAL_PORT": str(temporal),
        "SAGAPOST_TEMPORAL_UI_PORT": str(ui),
        "SAGAPOST_RETRY_SCHEDULE": RETRY_SCHEDULE,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGAPOST_")}
    running = await _start(
        folder / "up.log",
        "up",
        "--ready-file",
        str(ready_file),
        env=kept | settings | more_settings,
    )
    await _wait_for(running, ready_file.exists, "the stack did not become ready")
    return RunningStack(running.process, running.log, Ready.read(ready_file))


async def start_listener(folder: Path, name: str, *options: str) -> Listener:
    """`sagapost listen` on a free port. Raises NotStarted."""
    secret_file, received_file = folder / f"{name}.secret", folder / f"{name}.jsonl"
    running = await _start(
        folder / f"{name}.log",
        *("listen", "--port", "0", "--json", "--log", str(received_file)),
        *("--secret-file", str(secret_file), *options),
        env=dict(os.environ),
    )
    await _wait_for(running, lambda: bool(_first_line(running.log)), f"{name} did not start")
    url = json.loads(_first_line(running.log))["listening"]
    return Listener(running.process, running.log, name, url, secret_file, received_file)


async def _start(log: Path, *arguments: str, env: dict[str, str]) -> Running:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "cli.main", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            start_new_session=True,
        )
    return Running(process, log)


async def _wait_for(running: Running, is_there: Any, what: str) -> None:
    for _ in range(round(READY_WITHIN_S / POLL_S)):
        if is_there():
            return
        if running.process.returncode is not None:
            raise running.failed(what)
        await asyncio.sleep(POLL_S)
    await running.stop()
    raise running.failed(f"{what} within {READY_WITHIN_S} s")


def _first_line(log: Path) -> str:
    text, newline, _ = log.read_text().partition("\n")
    return text if newline else ""


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]

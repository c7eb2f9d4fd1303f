"""Stand-ins for the tests of the supervisor: small children, and a whole stack to run apart.

Run as a script it is `sagapost up` with a worker and an API that do nothing: `READY_FILE`.
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from cli.console import load_settings, screen
from cli.main import leave
from cli.up import run_to_the_end
from runtime.ready import Ready
from runtime.settings import Settings
from runtime.stack import Stack, api, worker
from runtime.supervisor import Child

ROOT = Path(__file__).parents[2]
WAIT_MAX_S = 40.0
NUMBERS = itertools.count()

WORKER = """
import signal
from runtime.settings import Settings
from runtime.supervisor import mark_ready
mark_ready(Settings(), "worker")
signal.pause()
"""
API = """
from http.server import BaseHTTPRequestHandler, HTTPServer
from runtime.settings import Settings
class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v2/health/ready" else 404)
        self.end_headers()
    def log_message(self, *_): pass
HTTPServer((Settings().api_host, Settings().api_port), Healthy).serve_forever()
"""


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def always_ready(_pid: int) -> bool:
    return True


def child(name: str, code: str) -> Child:
    """A child that counts as answering as soon as it runs."""
    return Child(name, python(code), always_ready)


def eventually(condition: Callable[[], object], *, within_s: float = WAIT_MAX_S) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s} s: {condition}"
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a stack of its own, on free ports."""
    api_port, temporal_port, ui_port = free_ports(3)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGAPOST_")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "SAGAPOST_DATA_DIR": str(folder / "data"),
        "SAGAPOST_API_PORT": str(api_port),
        "SAGAPOST_TEMPORAL_PORT": str(temporal_port),
        "SAGAPOST_TEMPORAL_UI_PORT": str(ui_port),
        **settings,
    }


class Up:
    """`sagapost up` with stand-ins, in a process of its own; killed at the end if still there."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.ready_file = folder / "ready.json"
        self._output = folder / f"output-{next(NUMBERS)}"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(self.ready_file)],
                env=environment,
                stdout=output,
                stderr=output,
            )

    def __enter__(self) -> "Up":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def output(self) -> str:
        return self._output.read_text()

    def ready(self) -> Ready:
        """Wait for the ready file."""
        eventually(lambda: self.ready_file.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.output
        return Ready.read(self.ready_file)

    def ended(self) -> int:
        """Wait for the end, and return the exit code."""
        return self.process.wait(WAIT_MAX_S)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.ended()


def are_gone(pids: list[int]) -> bool:
    return not any(
        psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        for pid in pids
    )


async def _key(_settings: Settings) -> str:
    return "sp_test_key"


def _main() -> None:
    settings = load_settings()
    stand_ins = (
        Child("worker", python(WORKER), worker(settings).is_ready),
        Child("api", python(API), api(settings).is_ready),
    )
    ready_file = Path(sys.argv[1])
    run_to_the_end(
        Stack(
            settings,
            prepare=_key,
            notice=screen.print,
            ready_file=ready_file,
            processes=stand_ins,
        )
    )


if __name__ == "__main__":
    leave(_main)

"""Somebody follows docs/add-a-saga.md, line by line, in a checkout of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from tests.copies import copy_packages
from tests.runtime.stand_ins import free_ports
from tests.tutorial.test_page import PAGE

BLOCK = re.compile(
    r"(?:<!-- file (?P<path>\S+) from \S+ -->\n)?```(?P<kind>python|sh)\n(?P<text>.*?)```",
    re.DOTALL,
)
STARTED_WITHIN_S = 120
DONE = "--- done ---"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_following_the_tutorial_literally_works(tmp_path: Path) -> None:
    checkout = Checkout(copy_packages(tmp_path / "sagapost", "pyproject.toml"))

    with checkout.shell() as shell:
        printed = "".join(shell.follow(block) for block in BLOCK.finditer(PAGE.read_text()))
        await in_the_temporal_ui(checkout)

    described, *_, completed, failed, account, detail = answers_in(printed)
    assert described["steps"][1]["name"] == "pay_referrer"
    assert completed["state"] == "completed"
    assert failed["failure"]["code"] == "insufficient_funds"
    assert account["available_balance"] == "5.00"
    assert [event["type"] for event in detail["events"]] == [
        "workflow.started",
        "account.balance_updated",
        "workflow.step_completed",
        "account.balance_updated",
        "workflow.compensation_executed",
        "workflow.failed",
    ]


def answers_in(printed: str) -> list[dict[str, Any]]:
    """What the API answered: a JSON object per line."""
    return [json.loads(line)["data"] for line in printed.splitlines() if line.startswith("{")]


async def in_the_temporal_ui(checkout: "Checkout") -> None:
    """What the page says can be seen there."""
    temporal = await Client.connect(f"127.0.0.1:{checkout.temporal_port}")
    found = [run.id async for run in temporal.list_workflows('FailedStep = "pay_referrer"')]
    assert found == ["loyalty_bonus/alice-2"]
    history = await temporal.get_workflow_handle(found[0]).fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_id
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert scheduled == ["pay_referrer/undo", "hold_bonus/undo"]
    assert [run.id async for run in temporal.list_workflows('SagaState = "stuck"')] == []


class Checkout:
    """A copy of the code, with the commands of an environment that is made already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api_port, self.temporal_port, ui_port = free_ports(3)
        self.environment = {
            **{name: value for name, value in os.environ.items() if "SAGAPOST_" not in name},
            "PYTHONPATH": str(folder),
            "SAGAPOST_API_PORT": str(self.api_port),
            "SAGAPOST_TEMPORAL_PORT": str(self.temporal_port),
            "SAGAPOST_TEMPORAL_UI_PORT": str(ui_port),
        }
        bin = folder / ".venv" / "bin"
        bin.mkdir(parents=True)
        for name, command in (("sagapost", "-m cli.main"), ("python", "")):
            program = bin / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
            program.chmod(0o755)

    @contextmanager
    def shell(self) -> Iterator["Shell"]:
        shell = Shell(self)
        try:
            yield shell
        finally:
            shell.leave()


class Shell:
    """A reader at the terminal: runs blocks, and writes files where the page says so."""

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        self._stack: subprocess.Popen[bytes] | None = None
        self._bash = subprocess.Popen(
            ["bash", "-euo", "pipefail"],
            cwd=checkout.folder,
            env=checkout.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def follow(self, block: re.Match[str]) -> str:
        """Do what the block says, and return what it printed."""
        if block["kind"] == "python":
            if block["path"]:
                (self._checkout.folder / block["path"]).write_text(block["text"])
            return ""
        text = block["text"].replace("make install\n", "")
        if text == "make up\n":
            self._up()
            return ""
        return self._run(text.replace(":8000", f":{self._checkout.api_port}"))

    def leave(self) -> None:
        self._bash.communicate()
        if self._stack is not None:
            self._stack.send_signal(signal.SIGINT)
            self._stack.wait(30)

    def _run(self, text: str) -> str:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{text}\necho; echo '{DONE}'\n")
        self._bash.stdin.flush()
        printed: list[str] = []
        for line in self._bash.stdout:
            if line.strip() == DONE:
                return "".join(printed)
            printed.append(line)
        raise AssertionError(f"{text}\nended with:\n{''.join(printed)}")

    def _up(self) -> None:
        ready = self._checkout.folder / "ready.json"
        self._stack = subprocess.Popen(
            [".venv/bin/sagapost", "up", "--ready-file", ready],
            cwd=self._checkout.folder,
            env=self._checkout.environment,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not ready.exists():
            assert self._stack.poll() is None, "the stack did not start"
            assert time.monotonic() < deadline, "the stack did not start in time"
            time.sleep(0.1)

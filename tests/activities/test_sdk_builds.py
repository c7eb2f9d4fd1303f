"""The generator is a program of its own: it may fail, hang, and must learn nothing of us."""

from pathlib import Path

import psutil
import pytest

from activities import sdk_builds
from domain.errors import Unavailable

SHOW = "import os, sys; sys.stdout.write(' '.join(sorted(os.environ)))"
SLEEP = "import time; time.sleep(60)"


async def test_it_sees_none_of_our_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, monkeypatch, SHOW)
    monkeypatch.setenv("SAGAPOST_SECRETS_KEY", "canary")

    seen = (await sdk_builds._run(["sagapost_test_program"], home=tmp_path)).split()

    assert "HOME" in seen
    assert not [name for name in seen if name.startswith(("SAGAPOST_", "AWS_", "GITHUB_"))]


async def test_one_that_fails_is_an_outage_that_says_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, monkeypatch, "raise SystemExit('the document is not for me')")

    with pytest.raises(Unavailable, match="the document is not for me") as failed:
        await sdk_builds._run(["sagapost_test_program"])

    assert failed.value.code == "sdk_generator_unavailable"


async def test_one_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, SLEEP)
    monkeypatch.setattr(sdk_builds, "WITHIN_S", 0.5)

    with pytest.raises(Unavailable, match="not done within"):
        await sdk_builds._run(["sagapost_test_program"])

    children = psutil.Process().children()
    psutil.wait_procs(children, timeout=0.5)
    assert not [child for child in children if "sagapost_test_program" in command_of(child)]


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A module that the interpreter finds under this name."""
    (folder / "sagapost_test_program.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""

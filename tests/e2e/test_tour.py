"""The tour: every type of event, from a workflow where it really happens, twice in one folder."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.security, pytest.mark.timeout(400)]


async def test_the_tour_is_whole_twice_in_a_row(tmp_path: Path) -> None:
    settings = {
        "SAGAPOST_DATA_DIR": str(tmp_path / "data"),
        "SAGAPOST_ROOT_API_KEY": "a-key-that-the-tour-was-given",
    }
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", "tour"),
            env=os.environ | settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        text = output.decode()

        assert process.returncode == 0, text[-6000:]
        assert "✓ 41 of 41 types arrived" in text

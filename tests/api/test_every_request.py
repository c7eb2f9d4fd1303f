"""Requests that nobody would think of, drawn from the OpenAPI document, against the real API."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI

from runtime.settings import Settings
from tests.api.serving import serve
from tests.figures import Figure

# They would end the key that the run itself uses; without links from one answer to the next
# request they do not find it.
ENDS_KEYS = ("revoke_api_key", "rotate_api_key", "update_api_key")
# After them whatever is written is answered 503, as it should: they have tests of their own.
ENDS_WRITES = ("hold_maintenance", "start_maintenance_window")
EXAMPLES = int(os.environ.get("API_EXAMPLES", "3"))
# A schema cannot say which accounts there are, nor that two of them must differ.
NOT_CHECKED = "--exclude-checks=positive_data_acceptance"


def only(*operations: str) -> tuple[str, ...]:
    return tuple(f"--include-operation-id={name}" for name in operations)


def without(*operations: str) -> tuple[str, ...]:
    return tuple(f"--exclude-operation-id={name}" for name in operations)


REST = (NOT_CHECKED, *without(*ENDS_KEYS, *ENDS_WRITES))
CHOSEN = {
    "some": ("--phases=examples,fuzzing,stateful", *REST),
    "keys": ("--phases=examples,coverage,fuzzing", NOT_CHECKED, *only(*ENDS_KEYS)),
    "everything": ("--phases=examples,coverage,fuzzing,stateful", *REST),
}
MINUTES = ("some", "everything")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        database_url=f"sqlite:///{tmp_path / 'test.db'}",
        auth_failures_max=1_000_000,  # Every route is tried with a wrong key.
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("working")
@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(name, marks=[pytest.mark.security] if name in MINUTES else [])
        for name in CHOSEN
    ],
)
async def test_no_request_breaks_the_contract(
    app: FastAPI, key: str, chosen: str, tmp_path: Path, figure: Figure
) -> None:
    async with serve(app) as url:
        status, text = await draw(url, key, *CHOSEN[chosen], folder=tmp_path)

    figure(next((line.strip() for line in text.splitlines() if " generated, " in line), "nothing"))
    assert status == 0, text


async def draw(url: str, key: str, *options: str, folder: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{url}/openapi.json",
        f"--header=Authorization: Bearer {key}",
        f"--max-examples={EXAMPLES}",
        "--checks=all",
        "--seed=1",
        "--no-shrink",
        "--continue-on-failure",
        "--suppress-health-check=all",
        "--request-timeout=40",
        "--max-response-time=35",  # Waiting for an outcome, as was asked.
        *options,
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()

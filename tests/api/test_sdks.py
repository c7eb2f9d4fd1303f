"""A partner downloads its client package, installs it, and calls the API with it."""

import asyncio
import hashlib
import sys
import sysconfig
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.dependencies import Services
from tests.api.asking import open_account, problem_of
from tests.api.serving import serve
from tests.api.test_widgets import PARTNER, put_on_board

pytestmark = [pytest.mark.usefixtures("working"), pytest.mark.slow]

# What a partner's program does: typed calls, typed answers, and an error as a value.
PROGRAM = """
import sys
from sagapost_client import AuthenticatedClient
from sagapost_client.api.accounts import get_account, list_accounts
from sagapost_client.models import Problem

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
page = list_accounts.sync(client=client)
print(page.data[0].uuid, page.meta.total)
missing = get_account.sync("nobody", client=client)
assert isinstance(missing, Problem), missing
print(missing.error.code)
"""


async def test_it_installs_and_calls_the_api(
    api: httpx.AsyncClient, app: FastAPI, services: Services, key: str, tmp_path: Path
) -> None:
    account = await open_account(api)
    package = await generate(api, services)
    content = (await api.get(package["path"])).content
    assert hashlib.sha256(content).hexdigest() == package["sha256"]
    python = await fresh_environment(tmp_path, content, package["file"])
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    async with serve(app) as url:
        shown = await run(str(python), str(program), url, key)

    assert shown.split() == [account, "1", "NOT_FOUND"]


async def test_only_its_own_can_be_downloaded(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, services: Services
) -> None:
    package = await generate(api, services)
    made = await api.post("/tenants", json={"id": "other", "name": "Other"})
    theirs = {"Authorization": f"Bearer {made.json()['data']['api_key']}"}

    problem_of(await stranger.get(package["path"]), 401, "UNAUTHORIZED")
    problem_of(await stranger.get(package["path"], headers=theirs), 404, "NOT_FOUND")
    generation = package["path"].rpartition("/")[0]
    problem_of(await stranger.get(generation, headers=theirs), 404, "NOT_FOUND")
    problem_of(await api.get(f"{generation}/other.whl"), 404, "NOT_FOUND")


async def test_a_language_that_nobody_generates_is_refused_at_once(
    api: httpx.AsyncClient, services: Services
) -> None:
    body = {"partner_id": PARTNER, "languages": ["typescript"]}

    answer = await api.post("/workflows/sdk_generation", json=body)

    problem_of(answer, 422, "LANGUAGE_UNSUPPORTED")


async def generate(api: httpx.AsyncClient, services: Services) -> dict[str, Any]:
    await services.database.transact(put_on_board)
    body = {"partner_id": PARTNER, "modules": ["accounts"]}
    started = await api.post("/workflows/sdk_generation?wait=30", json=body)
    assert started.status_code == 201, started.text
    generation = f"/sdks/{started.json()['data']['result']['sdk_generation_id']}"
    [package] = (await api.get(generation)).json()["data"]["packages"]
    return {**package, "path": f"{generation}/{package['file']}"}


async def fresh_environment(folder: Path, wheel: bytes, file: str) -> Path:
    """One with the package in it, and what that depends on from the tests' own environment."""
    (folder / file).write_bytes(wheel)
    environment = folder / "environment"
    await run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check")
    await run(*pip, "install", "--no-deps", "--no-index", str(folder / file))
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return python


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    shown, _ = await process.communicate()
    assert process.returncode == 0, shown.decode()
    return shown.decode()

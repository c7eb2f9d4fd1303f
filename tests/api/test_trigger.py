"""`sagapost trigger` against the API on a real socket."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from cli.main import make_app
from runtime.database import Database
from runtime.settings import Settings
from tests.lifecycle import House


@pytest_asyncio.fixture
async def api_url(app: FastAPI) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await serving


@pytest.fixture
def house(api_database: Database) -> House:
    return House(api_database)


async def test_a_sample_of_the_type_is_published(api_url: str, key: str, house: House) -> None:
    done = await trigger("transfer.completed", "--url", api_url, "--key", key)

    assert done.exit_code == 0, done.output
    assert "no webhook asks for it" in done.stdout
    [event] = await house.rows("SELECT id, type, body FROM events")
    assert event.id in done.stdout
    assert event.type == "transfer.completed"
    assert json.loads(event.body)["data"]["amount"] == "100.00"


async def test_fields_of_ones_own_replace_those_of_the_sample(
    api_url: str, key: str, house: House
) -> None:
    endpoint = await house.endpoint(tenant_id=await house.value("SELECT tenant_id FROM api_keys"))
    fields = ["--data", '{"amount": "5.00", "amount_minor": 500}']
    done = await trigger("transfer.completed", *fields, "--url", api_url, "--key", key)

    assert done.exit_code == 0, done.output
    body = await house.value("SELECT body FROM events")
    assert json.loads(body)["data"]["amount"] == "5.00"
    assert f"1 delivery\n  {endpoint.id}" in done.stdout


async def test_url_and_key_are_found_in_the_environment_and_in_the_data_folder(
    api_url: str, key: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGAPOST_API_URL", f"{api_url}/")
    monkeypatch.setenv("SAGAPOST_DATA_DIR", str(settings.data_dir))
    missing = await trigger("account.created")
    (settings.data_dir / "root-key").write_text(f"{key}\n")
    from_file = await trigger("account.created")
    monkeypatch.setenv("SAGAPOST_API_KEY", key)
    from_environment = await trigger("account.created", "--json")

    assert missing.exit_code == 2
    assert "give an API key" in missing.stderr
    assert from_file.exit_code == 0, from_file.output
    assert json.loads(from_environment.stdout)["data"]["type"] == "account.created"
    assert "there is no such setting" not in from_environment.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["transfer.compelted"], "did you mean 'transfer.completed'"),
        (["transfer.*"], "not one event type"),
        (["transfer.completed", "--data", "{"], "not JSON"),
        (["transfer.completed", "--data", "[]"], "is an object"),
        (["transfer.completed", "--key", "x", "--url", "http://127.0.0.1:1"], "does not answer"),
    ],
)
async def test_what_cannot_be_triggered_is_refused_in_words(
    arguments: list[str], says: str
) -> None:
    done = await trigger(*arguments)

    assert done.exit_code != 0
    assert says in done.stderr


async def test_what_the_api_refuses_is_told_by_field(api_url: str, key: str) -> None:
    fields = ["--data", '{"amount": 5.5}', "--url", api_url]
    done = await trigger("transfer.completed", *fields, "--key", key)
    unknown = await trigger("transfer.completed", "--url", api_url, "--key", "wrong-key")

    assert done.exit_code == 1
    assert "data.amount" in done.stderr
    assert unknown.exit_code == 1
    assert "answered 401" in unknown.stderr


async def trigger(*arguments: str) -> Result:
    command = ["trigger", *arguments]
    return await asyncio.to_thread(CliRunner().invoke, make_app(), command)

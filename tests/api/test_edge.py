"""Health, request ids, the several spellings of a path, and outages."""

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.dependencies import Services
from api.edge import canonical_path
from tests.api.asking import problem_of


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("/v2/accounts", "/v2/accounts"),
        ("/v2/accounts/", "/v2/accounts"),
        ("/api/v2/accounts", "/v2/accounts"),
        ("/api/accounts/a/balances", "/v2/accounts/a/balances"),
        ("/accounts", "/v2/accounts"),
        ("/webhooks/events", "/v2/webhooks/events"),
        ("/docs", "/docs"),
        ("/", "/"),
    ],
)
def test_every_clients_way_of_joining_paths_leads_here(given: str, canonical: str) -> None:
    assert canonical_path(given) == canonical


async def test_the_aliases_answer(api: httpx.AsyncClient) -> None:
    for base in ("/v2", "/api/v2", "/api", ""):
        assert (await api.get(f"http://api{base}/accounts")).status_code == 200


async def test_health_needs_no_key(stranger: httpx.AsyncClient) -> None:
    live, ready = await stranger.get("/health/live"), await stranger.get("/health/ready")

    assert live.status_code == ready.status_code == 200
    assert ready.json()["data"] == {"status": "ready", "database": "up", "engine": "up"}


async def test_without_its_database_it_is_503(
    api: httpx.AsyncClient, services: Services, stranger: httpx.AsyncClient
) -> None:
    path = services.settings.data_dir / "test.db"
    await services.database.close()
    path.rename(path.with_suffix(".away"))
    path.mkdir()

    for answer in (await api.get("/accounts"), await api.post("/webhooks", json={})):
        problem_of(answer, 503, "SERVICE_UNAVAILABLE")
        assert answer.headers["retry-after"] == str(answer.json()["retry_after"])
    ready = await stranger.get("/health/ready")
    problem_of(ready, 503, "SERVICE_UNAVAILABLE")
    assert ready.json()["error"]["details"] == {"database": "down", "engine": "up"}


async def test_without_its_engine_it_is_not_ready_but_reads(
    api: httpx.AsyncClient, app: FastAPI, services: Services
) -> None:
    nowhere = await Client.connect("127.0.0.1:1", lazy=True)
    app.state.services = Services(
        services.settings, services.database, nowhere, services.vault, services.policy
    )

    ready = await api.get("/health/ready")

    assert ready.json()["error"]["details"] == {"database": "up", "engine": "down"}
    assert (await api.get("/accounts")).status_code == 200


async def test_a_bug_is_500_and_tells_nothing(
    api: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr("api.accounts.accounts_of", broken)
    answer = await api.get("/accounts", headers={"X-Request-Id": "mine-1"})

    problem_of(answer, 500, "INTERNAL_ERROR")
    assert answer.headers["x-request-id"] == "mine-1"
    assert "secret" not in answer.text

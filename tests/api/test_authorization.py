"""Who may do what: every route with every scope, and with the key of another tenant.

tests/data/authorization.json says which scopes open which route, one of each list that it has; a
route without a row fails.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.dependencies import Services
from domain.api_keys import ADMIN, EVERYTHING, SCOPES
from runtime.settings import Settings
from storage.tenants import DEFAULT_TENANT
from storage.types import utc_now
from tests.api.asking import make_webhook, open_account
from tests.api.test_auth import UNFROZEN, bearing, every_route, key_with, scopes_of
from tests.figures import Figure

TABLE = Path(__file__).parents[1] / "data" / "authorization.json"
ROWS: dict[str, list[list[str]]] = json.loads(TABLE.read_text())
STARTS = "POST /v2/workflows/{saga}"
PUBLIC: list[list[str]] = []
OTHER = "other"
# Answers in which somebody else's thing is not there, not theirs, or not to be had.
DENIED = (403, 404, 409, 422)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    unlimited = {"rate_limit_per_minute": 100_000, "rate_limit_per_hour": 100_000}
    return settings.model_copy(update=unlimited)


@dataclass(frozen=True)
class Operation:
    """One method of one path, as the OpenAPI document has it."""

    method: str
    path: str
    described: dict[str, Any]

    @property
    def row(self) -> str:
        is_start = self.described["operationId"].startswith("start_") and "{" not in self.path
        own = self.path.count("/") == 3 and is_start and self.path.startswith("/v2/workflows/")
        return STARTS if own else f"{self.method} {self.path}"

    @property
    def names(self) -> list[str]:
        return [parameter["name"] for parameter in self._parameters() if parameter["in"] == "path"]

    def url(self, ids: dict[str, str]) -> str:
        return "http://api" + self.path.format(**{name: ids[name] for name in self.names})

    def body(self, schemas: dict[str, Any]) -> Any:
        content = self.described.get("requestBody", {}).get("content", {})
        if not content:
            return None
        wanted = content["application/json"]
        if "examples" in wanted:
            return next(iter(wanted["examples"].values()))["value"]
        name = wanted["schema"].get("$ref", "").rpartition("/")[2]
        schema = schemas.get(name, {})
        return {
            field: _example(schema["properties"][field]) for field in schema.get("required", [])
        }

    def _parameters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.described.get("parameters", [])
        return found


def _example(schema: dict[str, Any]) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    return "retry" if "$ref" in schema else True


def operations(app: FastAPI) -> Iterator[Operation]:
    for path, methods in app.openapi()["paths"].items():
        for method, described in methods.items():
            yield Operation(method.upper(), path, described)


def test_every_route_has_its_row(app: FastAPI) -> None:
    rows = {operation.row for operation in operations(app)}

    assert rows - set(ROWS) == set(), f"say in {TABLE.name} which scopes open these routes"
    assert set(ROWS) - rows == set(), f"{TABLE.name} has rows of routes that are gone"


def test_the_table_is_what_the_routes_ask_for() -> None:
    for path, route in every_route():
        for method in route.methods or ():
            row = ROWS.get(f"{method} {path}", ROWS[STARTS])
            assert scopes_of(route) == row, path


@pytest.mark.slow
async def test_a_scope_opens_its_own_routes_and_no_other(
    app: FastAPI, api: httpx.AsyncClient, services: Services, figure: Figure
) -> None:
    ids = dict.fromkeys(every_name(app), "absent") | {"type": "transfer"}
    wrong, asked = [], 0
    for scope in SCOPES:
        headers = bearing(await key_with(services, scope))
        for operation in operations(app):
            row = ROWS[operation.row]
            answer = await api.request(operation.method, operation.url(ids), headers=headers)
            asked += 1
            if (answer.status_code == 403) == may(scope, row):
                wrong.append(f"{scope}: {operation.row} answers {answer.status_code}")

    figure(f"{asked} requests with {len(SCOPES)} scopes, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)


async def test_without_a_key_only_what_is_public_answers(
    app: FastAPI, stranger: httpx.AsyncClient
) -> None:
    ids = dict.fromkeys(every_name(app), "absent") | {"type": "transfer"}
    for operation in operations(app):
        answer = await stranger.request(operation.method, operation.url(ids))
        is_open = ROWS[operation.row] == PUBLIC
        assert (answer.status_code != 401) == is_open, operation.row


@pytest.mark.slow
@pytest.mark.usefixtures("working")
async def test_nothing_of_one_tenant_is_anothers(
    app: FastAPI, api: httpx.AsyncClient, services: Services, figure: Figure
) -> None:
    ids = await one_of_each(api)
    mine = {**ids, **dict.fromkeys(EXAMPLES, ids["account_id"])}
    before = await everything_of(app, api, ids)
    other = bearing(await key_with(services, EVERYTHING, tenant_id=OTHER))
    schemas = app.openapi()["components"]["schemas"]
    found, asked = [], 0
    for operation in operations(app):
        if ROWS[operation.row] == PUBLIC:
            continue
        body = with_ids(operation.body(schemas), mine)
        url, wait = operation.url(ids), {"wait": 1} if operation.row == STARTS else {}
        answer = await api.request(operation.method, url, json=body, headers=other, params=wait)
        asked += 1
        given = f"{url} {json.dumps(body)}"
        told = [id for id in ids.values() if id in answer.text and id not in given + WORDS]
        reached = operation.names and operation.path not in TYPES
        if answer.status_code not in DENIED and (reached or told):
            found.append(f"{operation.row} answers {answer.status_code}: {answer.text[:200]}")

    figure(f"{asked} requests with another tenant's key, {len(found)} successes")
    assert not found, "\n".join(found)
    assert await everything_of(app, api, ids) == before


# What a request's path may name, and how one comes to have it.

# Ids that are also words, which anybody's answers have.
WORDS = f" transfer {DEFAULT_TENANT}"
TYPES = ("/v2/workflow-types/{name}",)
EXAMPLES = tuple(f"0199c5a2-0000-7000-8000-00000000000{number}" for number in range(1, 10))


async def one_of_each(api: httpx.AsyncClient) -> dict[str, str]:
    """One thing of each kind that a path can name, all of the first tenant."""
    account = await open_account(api, initial_balance="500.00")
    order = {"from_account": account, "to_account": await open_account(api), "amount": "50.00"}
    transfer = (await api.post("/transfers", json=order, params={"wait": 10})).json()["data"]
    webhook = await make_webhook(api)
    event = (await api.post("/events", json=UNFROZEN)).json()["data"]
    rotation = await api.post(f"/webhooks/{webhook['id']}/rotate-secret")
    window = {"since": "2020-01-01T00:00:00Z", "status": ["missing"]}
    await api.post(f"/webhooks/{webhook['id']}/key-pair")
    replay = await api.post(f"/webhooks/{webhook['id']}/replay", json=window)
    assert replay.status_code == 202, replay.text
    postings = (await api.get("/transactions")).json()["data"]
    key = (await api.get("/api-keys/current")).json()["data"]
    tomorrow = {"starts_at": (utc_now() + timedelta(days=1)).isoformat(), "lasts_s": 60}
    held = await api.post("/maintenance-windows", json=tomorrow)
    assert held.status_code == 202, held.text
    window = await first_of(api, "/maintenance-windows")
    await start_example(api, "compliance_report")
    report = await first_of(api, "/reports")
    partner = await a_partner(api)
    package = await a_package(api, partner)
    return {
        "account_id": account,
        "transfer_id": transfer["uuid"],
        "transaction_id": postings[0]["id"],
        "webhook_id": webhook["id"],
        "event_id": event["id"],
        "delivery_id": event["deliveries"][0]["id"],
        "rotation_id": rotation.json()["data"]["id"],
        "replay_id": replay.json()["data"]["id"],
        "key_id": key["id"],
        "window_id": window["id"],
        "report_id": report["id"],
        "partner_id": partner,
        **package,
        "tenant_id": DEFAULT_TENANT,
        "type": "transfer",
        "id": transfer["uuid"],
        "name": "transfer",
    }


async def a_partner(api: httpx.AsyncClient) -> str:
    """One whose application waits for a person, for good."""
    documents = ("certificate_of_incorporation", "proof_of_address")
    body = {
        "organization_name": "Corner Books",
        "tier": "growth",
        "documents": [{"kind": kind, "sha256": "0f" * 32} for kind in documents],
    }
    answer = await api.post("/partners", json=body)
    assert answer.status_code == 202, answer.text
    partner_id: str = answer.json()["data"]["id"]
    return partner_id


async def a_package(api: httpx.AsyncClient, partner_id: str) -> dict[str, str]:
    body = {"partner_id": partner_id, "modules": ["accounts"]}
    answer = await api.post("/workflows/sdk_generation", json=body, params={"wait": 30})
    assert answer.status_code == 201, answer.text
    generation = answer.json()["data"]["result"]["sdk_generation_id"]
    [package] = (await api.get(f"/sdks/{generation}")).json()["data"]["packages"]
    return {"generation_id": generation, "file": package["file"]}


async def start_example(api: httpx.AsyncClient, saga: str) -> None:
    """Run a saga's example to its end."""
    described = (await api.get(f"/workflow-types/{saga}")).json()["data"]
    body = {"type": saga, "input": described["example"]}
    answer = await api.post("/workflows", json=body, params={"wait": 20})
    assert answer.status_code == 201, answer.text


async def first_of(api: httpx.AsyncClient, path: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            rows: list[dict[str, Any]] = (await api.get(path)).json()["data"]
            if rows:
                return rows[0]
            await asyncio.sleep(0.05)


async def everything_of(
    app: FastAPI, api: httpx.AsyncClient, ids: dict[str, str]
) -> dict[str, Any]:
    """What the first tenant sees of its own, but for what changes by itself."""
    seen = {}
    for operation in operations(app):
        is_own = operation.method == "GET" and operation.names and ROWS[operation.row] != PUBLIC
        if is_own and "stream" not in operation.path:
            answer = await api.get(operation.url(ids))
            assert answer.status_code == 200, f"{operation.row}: {answer.text}"
            is_json = answer.headers["content-type"] == "application/json"
            seen[operation.row] = without_times(answer.json()) if is_json else answer.text
    return seen


def without_times(content: Any) -> Any:
    match content:
        case dict():
            return {
                name: without_times(value)
                for name, value in content.items()
                if not name.endswith("_at") and name not in CHANGES_BY_ITSELF
            }
        case list():
            return [without_times(one) for one in content]
        case _:
            return content


CHANGES_BY_ITSELF = ("state", "examined", "created", "skipped", "sent", "attempts")


def with_ids(body: Any, ids: dict[str, str]) -> Any:
    """The example, with somebody else's accounts in it."""
    match body:
        case dict():
            return {name: with_ids(value, ids) for name, value in body.items()}
        case list():
            return [with_ids(one, ids) for one in body]
        case str():
            return ids.get(body, body)
        case _:
            return body


def every_name(app: FastAPI) -> set[str]:
    return {name for operation in operations(app) for name in operation.names}


def may(scope: str, row: list[list[str]]) -> bool:
    return all(
        scope in scopes or (scope == EVERYTHING and bool(set(scopes) - ADMIN)) for scopes in row
    )

"""API keys, tenants, status and metrics, through the API."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.dependencies import Services
from domain.api_keys import SCOPES
from storage.keys import KEYS
from storage.types import utc_now
from tests.api.asking import make_webhook, open_account, problem_of
from tests.api.test_auth import UNFROZEN, bearing, every_route, key_with, scopes_of


async def make_key(api: httpx.AsyncClient, **changed: Any) -> dict[str, Any]:
    answer = await api.post("/api-keys", json={"name": "k", "scopes": ["read"]} | changed)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def opens(api: httpx.AsyncClient, key: str) -> bool:
    status = (await api.get("/accounts", headers=bearing(key))).status_code
    assert status in (200, 401)
    return status == 200


async def test_a_key_is_shown_once_and_kept_as_a_digest(
    api: httpx.AsyncClient, services: Services
) -> None:
    made = await make_key(api, scopes=["read", "webhooks.manage"], expires_in_days=90)
    key = made.pop("key")

    assert await opens(api, key)
    shown = (await api.get(f"/api-keys/{made['id']}")).json()["data"]
    assert shown | {"last_used_at": None} == made
    assert key not in (await api.get("/api-keys")).text
    async with services.database.read() as session:
        rows = (await session.execute(KEYS.select())).all()
    assert key.split("_")[3] not in str(rows)
    mine = (await api.get("/api-keys/current", headers=bearing(key))).json()["data"]
    assert (mine["id"], mine["scopes"]) == (made["id"], ["read", "webhooks.manage"])


async def test_a_revoked_key_is_dead_at_once(api: httpx.AsyncClient) -> None:
    made = await make_key(api)
    assert await opens(api, made["key"])

    revoked = (await api.post(f"/api-keys/{made['id']}/revoke")).json()["data"]

    assert revoked["is_live"] is False
    assert not await opens(api, made["key"])
    ended = (await api.get("/api-keys?state=ended")).json()["data"]
    assert [key["id"] for key in ended] == [made["id"]]


async def test_a_rotated_key_works_until_the_overlap_ends(
    api: httpx.AsyncClient, services: Services
) -> None:
    made = await make_key(api, scopes=["read"], name="Payments")

    answer = await api.post(f"/api-keys/{made['id']}/rotate", json={"overlap_s": 60})
    new = answer.json()["data"]
    at_once = await api.post(f"/api-keys/{new['id']}/rotate", json={"overlap_s": 0})

    assert (new["name"], new["scopes"], new["replaces"]) == ("Payments", ["read"], made["id"])
    assert await opens(api, made["key"])
    assert not await opens(api, new["key"])
    assert await opens(api, at_once.json()["data"]["key"])
    problem_of(await api.post(f"/api-keys/{new['id']}/rotate"), 409, "KEY_REVOKED")


async def test_the_last_key_that_manages_keys_stays(api: httpx.AsyncClient, key: str) -> None:
    await make_key(api, scopes=["read", "write"])

    answer = await api.post(f"/api-keys/{key.split('_')[2]}/revoke")

    problem_of(answer, 409, "LAST_KEY")


async def test_nobody_gives_what_they_do_not_have(
    api: httpx.AsyncClient, services: Services
) -> None:
    manager = bearing(await key_with(services, "keys.manage", "read"))
    more = {"name": "k", "scopes": ["read", "write"]}

    refused = await api.post("/api-keys", json=more, headers=manager)
    admin = await api.post(
        "/api-keys",
        json={"name": "k", "scopes": ["tenants.manage"]},
        headers=bearing(await key_with(services, "*")),
    )
    allowed = await api.post("/api-keys", json=more | {"scopes": ["read"]}, headers=manager)

    problem_of(refused, 403, "FORBIDDEN")
    problem_of(admin, 403, "FORBIDDEN")
    assert allowed.status_code == 201


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"scopes": ["reed"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"allow_cidrs": ["10.0.0.0/99"]}, "allow_cidrs.0"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:00Z", "expires_in_days": 30}, "expires_at"),
        ({"limit_per_minute": 0}, "limit_per_minute"),
    ],
)
async def test_a_bad_key_order_is_named(
    api: httpx.AsyncClient, changed: dict[str, Any], field: str
) -> None:
    answer = await api.post("/api-keys", json={"name": "k", "scopes": ["read"]} | changed)

    assert field in problem_of(answer, 422, "VALIDATION_FAILED")


async def test_a_change_counts_from_the_next_request_on(api: httpx.AsyncClient) -> None:
    made = await make_key(api)
    path = f"/api-keys/{made['id']}"

    await api.patch(path, json={"allow_cidrs": ["203.0.113.0/24"]})
    elsewhere = await api.get("/accounts", headers=bearing(made["key"]))
    await api.patch(path, json={"allow_cidrs": [], "scopes": ["write"]})
    unreadable = await api.get("/accounts", headers=bearing(made["key"]))

    problem_of(elsewhere, 403, "FORBIDDEN")
    problem_of(unreadable, 403, "FORBIDDEN")


def test_the_scopes_are_those_that_routes_ask_for() -> None:
    asked = {scope for _, route in every_route() for any_of in scopes_of(route) for scope in any_of}

    assert asked | {"*"} == set(SCOPES)


async def test_a_tenant_begins_with_a_key_of_its_own(api: httpx.AsyncClient) -> None:
    body = {"id": "acme", "name": "Acme"}
    made = (await api.post("/tenants", json=body)).json()["data"]
    again = await api.post("/tenants", json=body)
    theirs = bearing(made["api_key"])

    assert (await api.get("/accounts", headers=theirs)).json()["data"] == []
    assert "id" in problem_of(again, 409, "DUPLICATE_REQUEST")
    problem_of(await api.get("/tenants", headers=theirs), 403, "FORBIDDEN")
    problem_of(await api.get("/metrics", headers=theirs), 403, "FORBIDDEN")
    listed = (await api.get("/tenants")).json()["data"]
    assert {tenant["id"] for tenant in listed} == {"acme", "default", "ten_test"}
    changed = await api.patch("/tenants/acme", json={"limit_per_minute": 50})
    assert (await api.get("/tenants/acme")).json()["data"] == changed.json()["data"]
    assert changed.json()["data"]["limit_per_minute"] == 50


async def test_status_names_every_component(api: httpx.AsyncClient) -> None:
    status = (await api.get("/status")).json()["data"]

    assert status["status"] == "operational"
    names = [component["name"] for component in status["components"]]
    assert names == ["api", "database", "engine", "relay"]


async def test_a_relay_that_lags_is_told(api: httpx.AsyncClient, services: Services) -> None:
    await make_webhook(api)
    await api.post("/events", json=UNFROZEN)
    long_ago = utc_now() - timedelta(minutes=5)
    from storage.outbox import DELIVERIES

    await services.database.transact(
        lambda session: session.execute(DELIVERIES.update().values(created_at=long_ago))
    )

    status = (await api.get("/status")).json()["data"]

    assert status["status"] == "degraded"
    assert status["components"][-1]["status"] == "degraded"


async def test_metrics_can_be_scraped(api: httpx.AsyncClient, working: None) -> None:
    await open_account(api)
    await make_webhook(api)
    await api.post("/events", json=UNFROZEN)

    answer = await api.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    unsettled = {
        sample.labels["state"]: sample.value
        for sample in families["sagapost_deliveries_unsettled"].samples
    }
    assert unsettled == {"pending": 1, "claimed": 0, "retrying": 0, "parked": 0}
    sagas = families["sagapost_sagas_last_hour"].samples
    assert [(one.labels["state"], one.value) for one in sagas] == [("completed", 1)]
    routes = {one.labels["route"] for one in families["sagapost_request_seconds"].samples}
    assert {"/accounts", "/events"} <= routes
    assert families["sagapost_relay_lag_seconds"].samples[0].value >= 0

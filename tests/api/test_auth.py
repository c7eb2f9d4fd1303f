from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import update

from api.app import all_routers
from api.auth import Allowed, is_public
from api.dependencies import Services
from domain.api_keys import new_key
from runtime.settings import Settings
from storage.bootstrap import first_key
from storage.keys import KEYS, add_key
from storage.tables import Tenant
from storage.tenants import DEFAULT_TENANT
from storage.types import utc_now
from tests.api.asking import make_webhook, problem_of


async def key_with(services: Services, *scopes: str, tenant_id: str = DEFAULT_TENANT) -> str:
    key = new_key()

    async def work(session: Any) -> None:
        if await session.get(Tenant, tenant_id) is None:
            session.add(Tenant(id=tenant_id, name=tenant_id))
            await session.flush()
        await add_key(session, key, tenant_id=tenant_id, name="test", scopes=scopes)

    await services.database.transact(work)
    return key


def bearing(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def change_key(services: Services, key: str, **values: Any) -> None:
    statement = update(KEYS).where(KEYS.c.id == key.split("_")[2]).values(**values)
    await services.database.transact(lambda session: session.execute(statement))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer"},
        bearing(new_key()),
        bearing("sp_live_short"),
        bearing("a-text-of-more-than-twenty-characters"),
    ],
)
async def test_without_a_good_key_there_is_nothing(
    stranger: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for path in ("/accounts", "/webhooks/x", "/nothing"):
        answer = await stranger.get(path, headers=headers)
        problem_of(answer, 401, "UNAUTHORIZED")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_changed_key_does_not_open(api: httpx.AsyncClient, key: str) -> None:
    changed = key[:-1] + ("a" if key[-1] != "a" else "b")
    answer = await api.get("/accounts", headers=bearing(changed))

    problem_of(answer, 401, "UNAUTHORIZED")


async def test_expired_and_revoked_keys_do_not_open(
    api: httpx.AsyncClient, services: Services
) -> None:
    ago = utc_now() - timedelta(seconds=1)
    for column in ("expires_at", "revoked_at"):
        key = await key_with(services, "*")
        assert (await api.get("/accounts", headers=bearing(key))).status_code == 200
        await change_key(services, key, **{column: ago})
        problem_of(await api.get("/accounts", headers=bearing(key)), 401, "UNAUTHORIZED")


async def test_a_key_may_be_bound_to_addresses(api: httpx.AsyncClient, services: Services) -> None:
    key = await key_with(services, "*")
    await change_key(services, key, allow_cidrs=["203.0.113.0/24"])
    problem_of(await api.get("/accounts", headers=bearing(key)), 403, "FORBIDDEN")

    await change_key(services, key, allow_cidrs=["127.0.0.0/8"])
    assert (await api.get("/accounts", headers=bearing(key))).status_code == 200


@pytest.mark.parametrize(
    ("scope", "request_line", "status"),
    [
        ("read", "GET /webhooks", 200),
        ("read", "POST /webhooks", 403),
        ("write", "GET /webhooks", 403),
        ("write", "DELETE /webhooks/x", 403),
        ("delete", "DELETE /webhooks/x", 404),
        ("webhooks.manage", "GET /webhooks", 200),
        ("webhooks.manage", "DELETE /webhooks/x", 404),
        ("webhooks.manage", "GET /accounts", 403),
        ("events.publish", "POST /events", 422),
        ("workflows.start", "POST /workflows", 422),
        ("workflows.start", "POST /transfers", 403),
    ],
)
async def test_a_key_does_what_its_scopes_say(
    api: httpx.AsyncClient, services: Services, scope: str, request_line: str, status: int
) -> None:
    key = await key_with(services, scope)
    answer = await api.request(*request_line.split(), headers=bearing(key))

    assert answer.status_code == status, answer.text


async def test_another_tenants_things_are_absent(
    api: httpx.AsyncClient, services: Services, working: None
) -> None:
    other = bearing(await key_with(services, "*", tenant_id="other"))
    webhook = await make_webhook(api)
    published = await api.post("/events", json=UNFROZEN)
    event = published.json()["data"]
    paths = [
        f"/webhooks/{webhook['id']}",
        f"/webhooks/{webhook['id']}/deliveries",
        f"/events/{event['id']}",
        f"/deliveries/{event['deliveries'][0]['id']}",
    ]
    for path in paths:
        assert (await api.get(path)).status_code == 200
        problem_of(await api.get(path, headers=other), 404, "NOT_FOUND")
    gone = await api.delete(paths[0], headers=other)
    problem_of(gone, 404, "NOT_FOUND")
    for resource in ("webhooks", "events", "deliveries", "accounts", "transfers", "workflows"):
        listed = await api.get(f"/{resource}", headers=other)
        assert listed.json()["data"] == []


def test_every_route_asks_for_a_scope_or_is_public() -> None:
    routes = every_route()
    assert len(routes) > 80
    for path, route in routes:
        assert bool(scopes_of(route)) != is_public(path), path


def every_route() -> list[tuple[str, APIRoute]]:
    routes = [route for router in all_routers() for route in router.routes]
    assert all(isinstance(route, APIRoute) for route in routes)
    return [(f"/v2{route.path}", route) for route in routes if isinstance(route, APIRoute)]


def scopes_of(route: APIRoute) -> list[list[str]]:
    """The scopes that open a route, one of each list; none, where it is public."""
    asking = [call for call in _calls(route.dependant) if isinstance(call, Allowed)]
    return sorted(map(list, {tuple(sorted(allowed.scopes)) for allowed in asking}))


def _calls(dependant: Any) -> list[Any]:
    return [dependant.call, *(call for sub in dependant.dependencies for call in _calls(sub))]


async def test_the_use_of_a_key_is_noted(
    api: httpx.AsyncClient, services: Services, key: str
) -> None:
    await api.get("/accounts")

    async with services.database.read() as session:
        row = (await session.execute(KEYS.select())).one()
    assert row.last_used_at is not None


async def test_the_operators_own_key_opens(
    stranger: httpx.AsyncClient, settings: Settings, services: Services
) -> None:
    own = "an operator's own key".replace(" ", "-")
    assert await first_key(settings.resolved_database_url, own) == own
    assert await first_key(settings.resolved_database_url, own) == own

    assert (await stranger.get("/accounts", headers=bearing(own))).status_code == 200


UNFROZEN = {
    "type": "account.unfrozen",
    "data": {
        "account_uuid": "019b7a10-4c5e-7d21-9f3a-6b8c0d1e2f35",
        "reason": "review closed",
        "authorized_by": None,
        "source": "manual",
        "case_id": None,
        "frozen_at": "2026-01-03T16:00:00Z",
        "unfrozen_at": "2026-01-04T08:15:00Z",
        "frozen_duration_seconds": 58500,
    },
}

"""Every route about one webhook, delivery, replay or event: closed to neighbours and to keys
without the scope."""

from typing import Any

import httpx
import pytest_asyncio

from api.dependencies import Services
from tests.api.asking import make_webhook, problem_of
from tests.api.test_auth import UNFROZEN, bearing, every_route, key_with

KINDS = ("/v2/webhooks/{", "/v2/deliveries/{", "/v2/replays/{", "/v2/events/{")
BODIES: dict[str, dict[str, Any]] = {
    "/replay": {"since": "2020-01-01T00:00:00Z"},
    "/filter/test": {"type": "account.unfrozen"},
}
ASKED = sorted(
    (method, path)
    for path, route in every_route()
    if path.startswith(KINDS)
    for method in route.methods or ()
)


@pytest_asyncio.fixture
async def ids(api: httpx.AsyncClient) -> dict[str, str]:
    """Things of the first tenant's that are there."""
    webhook = await make_webhook(api)
    event = (await api.post("/events", json=UNFROZEN)).json()["data"]
    await api.post(f"/deliveries/{event['deliveries'][0]['id']}/cancel")
    replay = await api.post(
        f"/webhooks/{webhook['id']}/replay", json={"since": "2020-01-01T00:00:00Z"}
    )
    rotated = await api.post(f"/webhooks/{webhook['id']}/rotate-secret")
    await api.post(f"/webhooks/{webhook['id']}/key-pair")
    return {
        "webhook_id": webhook["id"],
        "delivery_id": event["deliveries"][0]["id"],
        "event_id": event["id"],
        "replay_id": replay.json()["data"]["id"],
        "rotation_id": rotated.json()["data"]["id"],
    }


def test_there_are_such_routes() -> None:
    assert len(ASKED) > 30


async def test_of_another_tenant_nothing_is_there_whatever_is_asked(
    api: httpx.AsyncClient, services: Services, ids: dict[str, str]
) -> None:
    other = bearing(await key_with(services, "*", tenant_id="other"))
    for method, path in ASKED:
        answer = await ask(api, method, path, ids, other)
        problem_of(answer, 404, "NOT_FOUND")
        assert "webhook_url" not in answer.text


async def test_a_key_without_the_scope_is_refused_whatever_is_asked(
    api: httpx.AsyncClient, services: Services, ids: dict[str, str]
) -> None:
    unfit = bearing(await key_with(services, "transfers.read"))
    for method, path in ASKED:
        problem_of(await ask(api, method, path, ids, unfit), 403, "FORBIDDEN")


async def test_to_the_owner_each_of_them_is_there(
    api: httpx.AsyncClient, ids: dict[str, str]
) -> None:
    """Else the neighbour's 404 would say nothing."""
    for method, path in ASKED:
        if method == "GET":
            answer = await ask(api, method, path, ids, {})
            assert answer.status_code == 200, (path, answer.text)


async def ask(
    api: httpx.AsyncClient, method: str, path: str, ids: dict[str, str], headers: dict[str, str]
) -> httpx.Response:
    body = next((body for end, body in BODIES.items() if path.endswith(end)), None)
    json = {"name": "Theirs"} if method in ("PUT", "PATCH") else body
    return await api.request(
        method, path.removeprefix("/v2").format(**ids), json=json, headers=headers
    )

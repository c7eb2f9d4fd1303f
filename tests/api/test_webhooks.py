import httpx
import pytest

from api.dependencies import Services
from storage.tables import Endpoint
from tests.api.asking import QUICK_SETUP, make_webhook, problem_of
from tests.api.test_auth import UNFROZEN


async def test_a_webhook_shows_both_spellings_and_its_secret_once(api: httpx.AsyncClient) -> None:
    made = await make_webhook(api, name="Orders", headers={"X-Token": "t0ken"})

    shown = (await api.get(f"/webhooks/{made['id']}")).json()["data"]

    assert made.pop("secret").startswith("whsec_")
    assert shown == made
    assert shown["id"] == shown["uuid"]
    assert shown["is_active"] is shown["active"] is True
    assert shown["headers"] == {"X-Token": "********"}
    assert {"created_at", "updated_at", "last_triggered_at", "health", "statistics"} <= set(shown)


async def test_secrets_and_headers_are_sealed_at_rest(
    api: httpx.AsyncClient, services: Services
) -> None:
    made = await make_webhook(api, headers={"X-Token": "t0ken"}, secret="s" * 32)
    assert made["secret"] == "s" * 32

    async with services.database.read() as session:
        row = await session.get_one(Endpoint, made["id"])
    assert row.headers_sealed is not None
    assert b"t0ken" not in row.headers_sealed
    opened = services.vault.open(row.headers_sealed, bound_to=row.id)
    assert opened == b'{"X-Token": "t0ken"}'


@pytest.mark.parametrize("secret", ["short", "whsec_???", "x" * 65])
async def test_a_bad_secret_of_ones_own_is_refused(api: httpx.AsyncClient, secret: str) -> None:
    answer = await api.post("/webhooks", json=QUICK_SETUP | {"secret": secret})

    assert "secret" in problem_of(answer, 422, "INVALID_SECRET")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_changes_only_what_it_names(api: httpx.AsyncClient, method: str) -> None:
    made = await make_webhook(api, name="Orders", headers={"X-Token": "t0ken"})

    answer = await api.request(
        method, f"/webhooks/{made['id']}", json={"events": ["transfer.*"], "name": None}
    )

    changed = answer.json()["data"]
    assert (changed["events"], changed["name"]) == (["transfer.*"], None)
    assert (changed["url"], changed["headers"]) == (made["url"], made["headers"])


async def test_redacted_headers_sent_back_keep_their_values(
    api: httpx.AsyncClient, services: Services
) -> None:
    made = await make_webhook(api, headers={"X-A": "one", "X-B": "two"})

    headers = made["headers"] | {"X-B": "three"}
    await api.patch(f"/webhooks/{made['id']}", json={"headers": headers})

    async with services.database.read() as session:
        row = await session.get_one(Endpoint, made["id"])
    assert row.headers_sealed is not None
    opened = services.vault.open(row.headers_sealed, bound_to=row.id)
    assert opened == b'{"X-A": "one", "X-B": "three"}'


async def test_a_change_is_checked_like_a_new_one(api: httpx.AsyncClient) -> None:
    made = await make_webhook(api)
    path = f"/webhooks/{made['id']}"
    for field, bad in [("url", "http://x.example.com"), ("events", ["x"]), ("url", None)]:
        answer = await api.patch(path, json={field: bad})
        assert answer.status_code == 422, field


async def test_switched_off_it_parks_and_switched_on_it_sends(api: httpx.AsyncClient) -> None:
    made = await make_webhook(api)
    path = f"/webhooks/{made['id']}"

    off = (await api.patch(path, json={"is_active": False})).json()["data"]
    assert (off["active"], off["health"]) == (False, "disabled")
    event = (await api.post("/events", json=UNFROZEN)).json()["data"]
    assert event["deliveries"][0]["state"] == "parked"

    on = (await api.patch(path, json={"active": True})).json()["data"]
    assert (on["active"], on["health"]) == (True, "healthy")
    [delivery] = (await api.get(f"{path}/deliveries")).json()["data"]
    assert (delivery["state"], delivery["status"]) == ("pending", "pending")


async def test_a_deleted_webhook_is_gone_and_its_deliveries_cancelled(
    api: httpx.AsyncClient,
) -> None:
    made = await make_webhook(api)
    event = (await api.post("/events", json=UNFROZEN)).json()["data"]

    deleted = await api.delete(f"/webhooks/{made['id']}")

    assert deleted.json()["message"]
    for method in ("GET", "DELETE", "PATCH"):
        answer = await api.request(method, f"/webhooks/{made['id']}", json={})
        problem_of(answer, 404, "NOT_FOUND")
    delivery = (await api.get(f"/deliveries/{event['deliveries'][0]['id']}")).json()["data"]
    assert (delivery["state"], delivery["reason"]) == ("cancelled", "webhook_deleted")
    assert (await api.get("/webhooks")).json()["data"] == []


async def test_fifty_webhooks_are_enough(api: httpx.AsyncClient) -> None:
    for _ in range(50):
        await make_webhook(api)

    answer = await api.post("/webhooks", json=QUICK_SETUP)

    problem_of(answer, 422, "LIMIT_EXCEEDED")


async def test_the_catalogue_is_public(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/webhooks/events")

    categories = answer.json()["data"]
    types = [event for events in categories.values() for event in events]
    assert (len(categories), len(types)) == (9, 41)
    for event in types:
        assert {"name", "description", "schema", "example"} <= set(event)


async def test_a_delivery_tells_its_story(api: httpx.AsyncClient) -> None:
    await make_webhook(api, events=["account.*"])
    await make_webhook(api, events=["transfer.completed"])
    event = (await api.post("/events", json=UNFROZEN)).json()["data"]
    [delivery] = event["deliveries"]

    detail = (await api.get(f"/deliveries/{delivery['id']}")).json()["data"]

    assert detail["payload"]["event_id"] == event["id"]
    assert detail["payload"]["data"] == event["data"]
    assert [entry["reason"] for entry in detail["timeline"]] == ["created"]
    undelivered = (await api.get("/deliveries?state=undelivered")).json()["data"]
    assert [one["id"] for one in undelivered] == [delivery["id"]]
    assert (await api.get("/deliveries?state=succeeded")).json()["data"] == []


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"type": "account.unfrozn"}, "type"),
        ({"type": "account.*"}, "type"),
        ({"data": {}}, "data.account_uuid"),
        ({"data": UNFROZEN["data"] | {"x": 1}}, "data.x"),  # type: ignore[operator]
        ({"data": UNFROZEN["data"] | {"metadata": {"a": 0.5}}}, "data.metadata.a"),  # type: ignore[operator]
    ],
)
async def test_a_bad_event_is_not_published(
    api: httpx.AsyncClient, changed: dict[str, object], field: str
) -> None:
    answer = await api.post("/events", json=UNFROZEN | changed)

    assert field in problem_of(answer, 422, "VALIDATION_FAILED")
    assert (await api.get("/events")).json()["data"] == []

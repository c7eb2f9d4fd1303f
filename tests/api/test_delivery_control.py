"""Deliveries, webhooks and replays as their owner operates them, with everything that sends."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from api.dependencies import Services
from domain.catalogue import EVENT_TYPES
from runtime.settings import Settings
from tests.api.asking import make_webhook, problem_of
from tests.api.test_auth import UNFROZEN
from tests.lifecycle import House, eventually, lifecycle_settings, own_queue, sending
from tests.runtime.receivers import OK, Receiver, always, receiving

COMPLETED = {
    "type": "transfer.completed",
    "data": EVENT_TYPES["transfer.completed"].example().model_dump(mode="json", by_alias=True),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Receivers of the tests are on this machine."""
    return lifecycle_settings(tmp_path, database_url=f"sqlite:///{tmp_path / 'test.db'}")


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(always(OK)) as started:
        yield started


@pytest_asyncio.fixture
async def everything(services: Services, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The relay and the workers of deliveries, retries, replays and rotations."""
    queue = own_queue(monkeypatch)
    house = House(services.database, services.vault)
    async with sending(house, services.temporal, services.settings, queue):
        yield


async def publish(api: httpx.AsyncClient, event: dict[str, Any] = UNFROZEN) -> dict[str, Any]:
    answer = await api.post("/events", json=event)
    assert answer.status_code == 202, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def settled(api: httpx.AsyncClient, delivery_id: str, attempts: int = 1) -> dict[str, Any]:
    async def is_settled() -> Any:
        found = (await api.get(f"/deliveries/{delivery_id}")).json()["data"]
        return found if found["settled_at"] and found["attempts"] >= attempts else None

    found: dict[str, Any] = await eventually(is_settled)
    return found


async def test_a_test_is_a_real_signed_event_to_one_webhook(
    api: httpx.AsyncClient, receiver: Receiver, everything: None
) -> None:
    made = await make_webhook(api, url=receiver.url, events=["transfer.*"])
    other = await make_webhook(api, url=receiver.url)

    answer = await api.post(f"/webhooks/{made['id']}/test")

    assert answer.status_code == 200, answer.text
    trial = answer.json()["data"]
    assert (trial["attempt"]["status_code"], trial["attempt"]["trigger"]) == (200, "manual")
    assert trial["delivery"]["state"] == "succeeded"
    headers = dict(line.split(": ", 1) for line in receiver.lines()[1:])
    sent = Webhook(made["secret"]).verify(
        receiver.bodies[0], {name.lower(): value for name, value in headers.items()}
    )
    assert sent["event_type"] == "test.webhook"
    assert sent["data"]["webhook_id"] == made["id"]
    assert len(receiver.bodies) == 1
    listed = (await api.get(f"/webhooks/{other['id']}/deliveries")).json()["data"]
    assert listed == []


async def test_a_test_may_be_a_sample_of_any_type(
    api: httpx.AsyncClient, receiver: Receiver, everything: None
) -> None:
    made = await make_webhook(api, url=receiver.url)
    path = f"/webhooks/{made['id']}/test"

    sample = await api.post(path, json={"type": "transfer.completed"})
    unknown = await api.post(path, json={"type": "transfer.complete"})
    wrong = await api.post(path, json={"type": "transfer.completed", "data": {}})
    await api.post(f"/webhooks/{made['id']}/disable")
    disabled = await api.post(path)

    assert sample.json()["data"]["delivery"]["event_type"] == "transfer.completed"
    assert "did you mean" in problem_of(unknown, 422, "VALIDATION_FAILED")["type"][0]
    assert "data.uuid" in problem_of(wrong, 422, "VALIDATION_FAILED")
    problem_of(disabled, 409, "WEBHOOK_DISABLED")


async def test_a_success_is_sent_again_under_the_same_id(
    api: httpx.AsyncClient, receiver: Receiver, everything: None
) -> None:
    await make_webhook(api, url=receiver.url)
    [delivery] = (await publish(api))["deliveries"]
    await settled(api, delivery["id"])

    answer = await api.post(
        f"/deliveries/{delivery['id']}/redeliver", json={"reason": "they lost it"}
    )

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v2/deliveries/{delivery['id']}"
    detail = await settled(api, delivery["id"], attempts=2)
    assert [one["trigger"] for one in detail["attempt_list"]] == ["schedule", "manual"]
    assert "they lost it" in [entry["reason"] for entry in detail["timeline"]]
    assert receiver.bodies[0] == receiver.bodies[1]


async def test_asked_twice_under_one_idempotency_key_it_is_redelivered_once(
    api: httpx.AsyncClient, receiver: Receiver, everything: None
) -> None:
    await make_webhook(api, url=receiver.url)
    [delivery] = (await publish(api))["deliveries"]
    await settled(api, delivery["id"])
    path = f"/deliveries/{delivery['id']}/redeliver"

    first = await api.post(path, headers={"Idempotency-Key": "once"})
    await settled(api, delivery["id"], attempts=2)
    again = await api.post(path, headers={"Idempotency-Key": "once"})
    other = await api.post(path, headers={"Idempotency-Key": "twice"})

    detail = await settled(api, delivery["id"], attempts=3)
    assert (first.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert other.status_code == 202
    assert detail["attempts"] == len(receiver.bodies) == 3


async def test_pause_resume_and_cancel_say_who_and_why(api: httpx.AsyncClient, key: str) -> None:
    await make_webhook(api)
    [delivery] = (await publish(api))["deliveries"]
    path = f"/deliveries/{delivery['id']}"

    paused = (await api.post(f"{path}/pause", json={"reason": "wait"})).json()["data"]
    again = await api.post(f"{path}/pause")
    resumed = (await api.post(f"{path}/resume")).json()["data"]
    not_paused = await api.post(f"{path}/resume")
    cancelled = (await api.post(f"{path}/cancel")).json()["data"]
    too_late = await api.post(f"{path}/cancel")

    assert (paused["state"], paused["reason"]) == ("parked", "paused")
    assert (resumed["state"], cancelled["state"]) == ("pending", "cancelled")
    for answer in (again, not_paused, too_late):
        problem_of(answer, 409, "DELIVERY_STATE_CONFLICT")
    timeline = (await api.get(path)).json()["data"]["timeline"]
    key_id = key.split("_")[2]
    assert [(one["state"], one["actor"]) for one in timeline if one["actor"] != "system"] == [
        ("parked", key_id),
        ("pending", key_id),
        ("cancelled", key_id),
    ]


async def test_undelivered_is_a_query(
    api: httpx.AsyncClient, receiver: Receiver, everything: None
) -> None:
    good = await make_webhook(api, url=receiver.url)
    bad = await make_webhook(api, url=receiver.url, events=["transfer.*"])
    await api.post(f"/webhooks/{bad['id']}/disable")
    event = await publish(api, COMPLETED)
    by_webhook = {one["webhook_id"]: one["id"] for one in event["deliveries"]}
    await settled(api, by_webhook[good["id"]])

    async def listed(query: str) -> list[str]:
        return [one["id"] for one in (await api.get(f"/deliveries?{query}")).json()["data"]]

    undelivered = [by_webhook[bad["id"]]]
    assert await listed("state=undelivered") == undelivered
    assert await listed("reason=endpoint_disabled") == undelivered
    assert await listed(f"webhook={bad['id']}&state=parked") == undelivered
    assert await listed("state=succeeded") == [by_webhook[good["id"]]]
    assert len(await listed("event_type=transfer.completed")) == 2
    assert await listed("event_type=account.created") == []
    assert await listed("state=undelivered&since=2099-01-01") == []


async def test_what_was_parked_is_drained_in_order(
    api: httpx.AsyncClient, receiver: Receiver, everything: None
) -> None:
    made = await make_webhook(api, url=receiver.url)
    await api.post(f"/webhooks/{made['id']}/disable", json={"reason": "deploying"})
    events = [await publish(api) for _ in range(20)]
    shown = (await api.get(f"/webhooks/{made['id']}")).json()["data"]
    assert shown["disabled_reason"] == "deploying"

    enabled = await api.post(f"/webhooks/{made['id']}/enable")

    assert enabled.json()["data"]["health"] == "recovering"
    assert (enabled.status_code, enabled.headers["location"]) == (202, f"/v2/webhooks/{made['id']}")
    last = [await settled(api, event["deliveries"][0]["id"]) for event in events]
    assert {one["state"] for one in last} == {"succeeded"}


@pytest.mark.parametrize(
    ("parked", "sent"), [("skip", []), ("newest_per_key", [2, 3]), ("drain", [0, 1, 2, 3])]
)
async def test_what_was_parked_may_be_left_out(
    api: httpx.AsyncClient, receiver: Receiver, everything: None, parked: str, sent: list[int]
) -> None:
    made = await make_webhook(api, url=receiver.url)
    await api.patch(f"/webhooks/{made['id']}", json={"is_active": False})
    events = [await publish(api, event) for event in (UNFROZEN, COMPLETED, UNFROZEN, COMPLETED)]

    await api.post(f"/webhooks/{made['id']}/enable", json={"parked": parked})

    ids = [event["deliveries"][0]["id"] for event in events]
    found = [await settled(api, id, attempts=0) for id in ids]
    assert [n for n, one in enumerate(found) if one["state"] == "succeeded"] == sent
    assert {one["state"] for one in found} <= {"succeeded", "cancelled"}


async def test_a_rotation_overlaps_and_can_be_rolled_back(
    api: httpx.AsyncClient, receiver: Receiver, everything: None
) -> None:
    made = await make_webhook(api, url=receiver.url)
    path = f"/webhooks/{made['id']}"

    answer = await api.post(f"{path}/rotate-secret", json={"overlap_s": 3600})
    rotated = answer.json()["data"]
    second = await api.post(f"{path}/rotate-secret")
    await api.post(f"{path}/test")
    secrets = (await api.get(f"{path}/secrets")).json()["data"]
    back = (await api.post(f"{path}/rotate-secret/rollback")).json()["data"]
    nothing = await api.post(f"{path}/rotate-secret/rollback")

    headers = dict(line.lower().split(": ", 1) for line in receiver.lines()[1:])
    signatures = next(
        line.split(": ", 1)[1]
        for line in receiver.lines()[1:]
        if line.lower().startswith("webhook-signature")
    )
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(receiver.bodies[-1], headers | {"webhook-signature": signatures})
    problem_of(second, 409, "ROTATION_UNDER_WAY")
    assert rotated["secret"] not in str(secrets)
    assert [one["is_live"] for one in secrets["secrets"]] == [True, True]
    assert [one["change"] for one in secrets["changes"]][:3] == ["created", "created", "expires"]
    assert (rotated["state"], back["state"]) == ("overlapping", "rolled_back")
    problem_of(nothing, 409, "NO_ROTATION")
    assert answer.status_code == 202
    found = (await api.get(answer.headers["location"].removeprefix("/v2"))).json()["data"]
    listed = (await api.get(f"{path}/rotations")).json()["data"]
    assert found == back
    assert [one["id"] for one in listed] == [rotated["id"]]
    problem_of(await api.get(f"{path}/rotations/rot_x"), 404, "NOT_FOUND")


async def test_a_key_pair_shows_only_its_public_half(api: httpx.AsyncClient) -> None:
    made = await make_webhook(api)
    path = f"/webhooks/{made['id']}"

    none_yet = await api.get(f"{path}/public-key")
    pair = (await api.post(f"{path}/key-pair")).json()["data"]
    shown = (await api.get(f"{path}/public-key")).json()["data"]
    twice = await api.post(f"{path}/key-pair")
    dropped = await api.delete(f"{path}/key-pair")

    problem_of(none_yet, 404, "NOT_FOUND")
    assert pair["public_keys"][0].startswith("whpk_")
    assert shown == pair
    problem_of(twice, 409, "KEY_PAIR_EXISTS")
    assert dropped.status_code == 200
    problem_of(await api.get(f"{path}/public-key"), 404, "NOT_FOUND")


async def test_a_replay_is_counted_then_done(
    api: httpx.AsyncClient, receiver: Receiver, everything: None
) -> None:
    made = await make_webhook(api, url=receiver.url, events=["account.*"])
    for event in (UNFROZEN, UNFROZEN, COMPLETED):
        for delivery in (await publish(api, event))["deliveries"]:
            await settled(api, delivery["id"])
    order = {"since": "2020-01-01T00:00:00Z", "status": "success"}

    counted = await api.post(f"/webhooks/{made['id']}/replay", json=order | {"dry_run": True})
    assert (counted.status_code, counted.json()["data"]["total"]) == (200, 2)
    assert counted.json()["data"]["by_state"] == {"succeeded": 2}
    answer = await api.post(f"/webhooks/{made['id']}/replay", json=order)
    assert answer.status_code == 202, answer.text
    path = answer.headers["location"].removeprefix("/v2")

    async def is_done() -> Any:
        job = (await api.get(path)).json()["data"]
        return job if job["state"] == "completed" else None

    job = await eventually(is_done)
    assert (job["total"], job["sent"], job["requeued"], job["created"]) == (2, 2, 2, 0)
    listed = (await api.get(f"/replays?webhook={made['id']}")).json()["data"]
    assert [one["id"] for one in listed] == [job["id"]]
    for action in ("pause", "resume", "cancel"):
        problem_of(await api.post(f"{path}/{action}"), 409, "REPLAY_STATE_CONFLICT")


async def test_a_replay_that_makes_no_sense_is_refused(api: httpx.AsyncClient) -> None:
    made = await make_webhook(api)
    path = f"/webhooks/{made['id']}/replay"
    since = "2020-01-01T00:00:00Z"

    nothing = await api.post(path, json={"since": since})
    backwards = await api.post(path, json={"since": since, "until": "2019-01-01"})
    unknown = await api.post(path, json={"since": since, "event_types": ["x"]})
    strange = await api.post(path, json={"since": since, "status": ["sideways"]})
    await publish(api)
    await api.post(f"/webhooks/{made['id']}/disable")
    disabled = await api.post(path, json={"since": since, "status": "missing"})

    problem_of(nothing, 422, "NOTHING_TO_REPLAY")
    assert "until" in problem_of(backwards, 422, "INVALID_REPLAY")
    assert "event_types" in problem_of(unknown, 422, "INVALID_REPLAY")
    assert "status" in problem_of(strange, 422, "INVALID_REPLAY")
    problem_of(disabled, 409, "WEBHOOK_DISABLED")


async def test_an_event_says_which_webhooks_did_not_match_and_why(
    api: httpx.AsyncClient,
) -> None:
    wanting = await make_webhook(api)
    other_type = await make_webhook(api, events=["transfer.*"])
    filtered = await make_webhook(api, filter={"data.source": "compliance"})
    event = await publish(api)
    later = await make_webhook(api)

    found = (await api.get(f"/events/{event['id']}")).json()["data"]

    assert [one["webhook_id"] for one in found["deliveries"]] == [wanting["id"]]
    reasons = {one["webhook_id"]: one for one in found["not_sent_to"]}
    assert reasons[other_type["id"]]["reason"] == "event_type"
    assert reasons[filtered["id"]]["reason"] == "payload_filter"
    assert reasons[filtered["id"]]["clauses"][0]["found"] == "manual"
    assert reasons[later["id"]]["reason"] == "created_later"


async def test_an_event_may_have_an_id_of_its_publishers_own(api: httpx.AsyncClient) -> None:
    await make_webhook(api)
    event = UNFROZEN | {"external_id": "case-7"}

    first = await api.post("/events", json=event)
    again = await api.post("/events", json=event)
    other = await api.post("/events", json=COMPLETED | {"external_id": "case-7"})
    too_long = await api.post("/events", json=UNFROZEN | {"external_id": "x" * 129})

    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["data"]["id"] == again.json()["data"]["id"]
    assert again.headers["location"] == first.headers["location"]
    assert "external_id" in problem_of(other, 409, "EVENT_EXISTS")
    assert "external_id" in problem_of(too_long, 422, "VALIDATION_FAILED")
    listed = (await api.get("/events?external_id=case-7")).json()["data"]
    assert [one["external_id"] for one in listed] == ["case-7"]
    assert len((await api.get("/deliveries")).json()["data"]) == 1


async def test_the_content_of_an_event_is_expunged(api: httpx.AsyncClient) -> None:
    await make_webhook(api)
    event = await publish(api)

    gone = await api.delete(f"/events/{event['id']}/content")

    assert gone.json()["cancelled_deliveries"] == 1
    found = (await api.get(f"/events/{event['id']}")).json()["data"]
    assert found["data"] is None
    assert found["deliveries"][0]["reason"] == "expunged"
    delivery = (await api.get(f"/deliveries/{event['deliveries'][0]['id']}")).json()["data"]
    assert delivery["payload"] is None
    again = await api.delete(f"/events/{event['id']}/content")
    assert again.json()["cancelled_deliveries"] == 0


async def test_a_filter_explains_itself(api: httpx.AsyncClient) -> None:
    made = await make_webhook(api, filter={"data.source": "compliance"})
    path = f"/webhooks/{made['id']}/filter/test"
    event = await publish(api)

    own = (await api.post(path, json={"event_id": event["id"]})).json()["data"]
    other = (
        await api.post(path, json={"event_id": event["id"], "filter": {"data.source": "manual"}})
    ).json()["data"]
    sample = (await api.post(path, json={"type": "account.unfrozen"})).json()["data"]
    bad = await api.post(path, json={"type": "account.unfrozen", "filter": {"data.x": {"$re": 1}}})
    neither = await api.post(path, json={})

    assert (own["matched"], own["filter_matched"], own["type_matched"]) == (False, False, True)
    assert own["clauses"][0]["found"] == "manual"
    assert other["matched"]
    assert isinstance(sample["matched"], bool)
    assert "filter" in problem_of(bad, 422, "VALIDATION_FAILED")
    assert "event_id" in problem_of(neither, 422, "VALIDATION_FAILED")


async def test_figures_and_the_log_of_a_webhook(
    api: httpx.AsyncClient, receiver: Receiver, everything: None
) -> None:
    made = await make_webhook(api, url=receiver.url)
    for _ in range(3):
        [delivery] = (await publish(api))["deliveries"]
        await settled(api, delivery["id"])
    path = f"/webhooks/{made['id']}"

    figures = (await api.get(f"{path}/stats")).json()["data"]
    log = (await api.get(f"{path}/logs?per_page=2")).json()
    none = (await api.get(f"{path}/logs?status_code=500")).json()["data"]

    assert (figures["attempts"], figures["attempts_by_status_code"]) == (3, {"200": 3})
    assert figures["statistics"]["success_rate"] == "100.0"
    assert figures["duration_ms_p95"] is not None
    assert figures["oldest_undelivered_at"] is None
    assert log["data"][0]["delivery_id"] == delivery["id"]
    assert (log["meta"]["total"], none) == (3, [])
    shown = (await api.get(path)).json()["data"]
    assert shown["statistics"]["succeeded"] == 3


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"filter": {"x": 1}}, "filter"),
        ({"filter": {}}, "filter"),
        ({"ordering": "by_colour"}, "ordering"),
        ({"ordering": "per_key"}, "ordering_key"),
        ({"ordering": "per_key", "ordering_key": "uuid"}, "ordering_key"),
        ({"head_of_line": "skip_after:0"}, "head_of_line"),
        ({"retry_schedule": "5s,,2h"}, "retry_schedule"),
        ({"retry_schedule": "9d"}, "retry_schedule"),
        ({"retry_schedules": {"transfer.complete": "5s"}}, "retry_schedules"),
        ({"retry_schedules": {"transfer.*": "soon"}}, "retry_schedules.transfer.*"),
        ({"timeout_ms": 31_000}, "timeout_ms"),
        ({"permanent_codes": [200]}, "permanent_codes.0"),
    ],
)
async def test_impossible_policies_are_refused(
    api: httpx.AsyncClient, changed: dict[str, Any], field: str
) -> None:
    body = {"url": "https://hooks.example.com/in", "events": ["*"]} | changed
    answer = await api.post("/webhooks", json=body)

    assert field in problem_of(answer, 422, "VALIDATION_FAILED")

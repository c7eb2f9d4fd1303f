"""Every feature of delivery by the API, on a whole stack in processes of its own."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cli.demo.processes import RunningStack
from domain.signing import Secret, verify_standard
from storage.types import utc_now
from tests.e2e.operating import WITHIN_S, Operator, verified
from tests.hooks import Got, hook
from tests.lifecycle import eventually

pytestmark = pytest.mark.timeout(300)

LONG = "1h,1h"
SINCE = "2020-01-01T00:00:00Z"
SENT = {"status": "success"}


@pytest_asyncio.fixture
async def operator(stack: RunningStack) -> AsyncIterator[Operator]:
    headers = {"Authorization": f"Bearer {stack.ready.api_key}"}
    async with (
        hook() as receiver,
        httpx.AsyncClient(
            base_url=f"{stack.ready.api_url}/v2", headers=headers, trust_env=False, timeout=30
        ) as http,
    ):
        yield Operator(http, receiver)


async def test_a_delivery_is_operated_from_end_to_end(operator: Operator) -> None:
    """One stack, one act after the other: starting a stack takes longer than most of them."""
    await it_is_tried(operator)
    await it_is_retried_and_redelivered(operator)
    await it_is_paused_and_cancelled(operator)
    await a_receiver_that_is_gone_disables_its_webhook_and_the_tenant_hears_of_it(operator)
    await what_was_parked_is_drained_or_skipped(operator)
    await order_is_kept(operator)
    await secrets_and_key_pairs_are_rotated(operator)
    await an_event_says_where_it_did_not_go_and_is_expunged(operator)
    await what_makes_no_sense_is_refused(operator)


async def test_an_outage_and_a_replay_are_operated_from_end_to_end(operator: Operator) -> None:
    await a_failing_endpoint_is_parked_and_recovers(operator)
    await a_window_is_replayed(operator)
    await a_replay_is_paused_resumed_and_cancelled(operator)


async def it_is_tried(operator: Operator) -> None:
    made = await operator.webhook("tried")

    trial = await operator.ask("POST", f"/webhooks/{made['id']}/test", params={"wait": 20})

    assert (trial["attempt"]["status_code"], trial["delivery"]["state"]) == (200, "succeeded")
    [got] = operator.at("tried")
    assert verified(made["secret"], got)["event_type"] == "test.webhook"


async def it_is_retried_and_redelivered(operator: Operator) -> None:
    await operator.webhook("retried", retry_schedule=LONG)
    operator.receiver.answer = lambda got: 500 if first_time_at(got, "/retried") else 200
    delivery = await operator.delivery("retried")
    path = f"/deliveries/{delivery}"
    waiting = await operator.until(path, state="retrying")
    assert waiting["next_attempt_at"] > waiting["created_at"]
    assert waiting["workflow_id"] == f"delivery/{delivery}"

    await operator.ask("POST", f"{path}/redeliver", {"reason": "they fixed it"}, expect=202)
    done = await operator.until(path, state="succeeded", attempts=2)
    await operator.ask("POST", f"{path}/redeliver", expect=202)
    again = await operator.until(path, state="succeeded", attempts=3)

    assert [one["decision"] for one in done["attempt_list"]] == ["retry", "settle"]
    assert [one["trigger"] for one in again["attempt_list"]] == ["schedule", "manual", "manual"]
    assert "they fixed it" in [entry["reason"] for entry in again["timeline"]]
    assert len({got.event_id for got in operator.at("retried")}) == 1


async def it_is_paused_and_cancelled(operator: Operator) -> None:
    await operator.webhook("paused", retry_schedule=LONG)
    operator.receiver.answer = lambda got: 500 if first_time_at(got, "/paused") else 200
    path = f"/deliveries/{await operator.delivery('paused')}"
    await operator.until(path, state="retrying")

    await operator.ask("POST", f"{path}/pause")
    await operator.until(path, state="parked", reason="paused")
    await operator.ask("POST", f"{path}/resume", expect=202)
    await operator.until(path, state="succeeded", attempts=2)

    other = f"/deliveries/{await operator.delivery('paused')}"
    await operator.until(other, state="retrying")
    await operator.ask("POST", f"{other}/cancel", {"reason": "not wanted"})
    await operator.until(other, state="cancelled", reason="not wanted", attempts=1)
    await operator.refused(409, "DELIVERY_STATE_CONFLICT", f"{other}/cancel")


async def a_receiver_that_is_gone_disables_its_webhook_and_the_tenant_hears_of_it(
    operator: Operator,
) -> None:
    gone = await operator.webhook("gone")
    await operator.webhook("notices", events=["system.*"], filter=None)
    operator.receiver.answer = lambda got: 410 if got.path == "/gone" else 200
    path = f"/deliveries/{await operator.delivery('gone')}"

    await operator.until(path, state="dead_lettered", reason="gone")
    await operator.until(f"/webhooks/{gone['id']}", health="disabled", disabled_reason="gone")
    [notice, *_] = await operator.came("notices", 1)
    assert gone["id"] in notice.body.decode()
    await operator.refused(409, "WEBHOOK_DISABLED", f"/webhooks/{gone['id']}/test")
    operator.receiver.answer = lambda _: 200


async def what_was_parked_is_drained_or_skipped(operator: Operator) -> None:
    made = await operator.webhook("parked")
    path = f"/webhooks/{made['id']}"
    await operator.ask("POST", f"{path}/disable", {"reason": "deploying"})
    events = await operator.publish("parked", 30)

    answer = await operator.http.post(f"{path}/enable")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v2{path}")
    await operator.until(path, health="healthy")
    got = await operator.came("parked", 30)
    assert {one.event_id for one in got} == {event["id"] for event in events}

    await operator.ask("POST", f"{path}/disable")
    [event] = await operator.publish("parked")
    await operator.ask("POST", f"{path}/enable", {"parked": "skip"}, expect=202)
    await operator.until(f"/deliveries/{event['deliveries'][0]['id']}", state="cancelled")
    assert len(operator.at("parked")) == 30


async def order_is_kept(operator: Operator) -> None:
    await operator.webhook("ordered", ordering="strict", retry_schedule="1s,1s,1s")
    operator.receiver.answer = lambda got: 500 if first_time_at(got, "/ordered") else 200
    events = await operator.publish("ordered", 5)

    got = await operator.came("ordered", 10)

    once = list(dict.fromkeys(one.event_id for one in got))
    assert once == [event["id"] for event in events]
    assert [one.count for one in got] == [1, 2] * 5
    operator.receiver.answer = lambda _: 200


async def secrets_and_key_pairs_are_rotated(operator: Operator) -> None:
    made = await operator.webhook("signed")
    path = f"/webhooks/{made['id']}"
    answer = await operator.http.post(f"{path}/rotate-secret", json={"overlap_s": 3600})
    rotated = answer.json()["data"]
    pair = await operator.ask("POST", f"{path}/key-pair", expect=201)
    await operator.refused(409, "ROTATION_UNDER_WAY", f"{path}/rotate-secret")

    await operator.ask("POST", f"{path}/test", params={"wait": 20})
    [got] = operator.at("signed")
    for secret in (made["secret"], rotated["secret"]):
        verified(secret, got)
    verify_standard(Secret(pair["public_keys"][0]), got.headers, got.body, now=utc_now())

    place = answer.headers["location"].removeprefix("/v2")
    assert (answer.status_code, place) == (202, f"{path}/rotations/{rotated['id']}")
    await operator.ask("POST", f"{path}/rotate-secret/rollback")
    await operator.until(place, state="rolled_back")
    await operator.refused(409, "NO_ROTATION", f"{path}/rotate-secret/rollback")
    shown = await operator.ask("GET", f"{path}/secrets")
    assert made["secret"] not in str(shown)
    assert rotated["secret"] not in str(shown)


async def an_event_says_where_it_did_not_go_and_is_expunged(operator: Operator) -> None:
    other = await operator.webhook("elsewhere")
    await operator.webhook("told")
    [event] = await operator.publish("told")
    path = f"/events/{event['id']}"
    await operator.came("told", 1)

    found = await operator.ask("GET", path)
    [reason] = [one for one in found["not_sent_to"] if one["webhook_id"] == other["id"]]
    assert (reason["reason"], reason["clauses"][0]["found"]) == ("payload_filter", "told")
    asked = {"event_id": event["id"], "filter": {"data.account_uuid": {"$in": ["told"]}}}
    explained = await operator.ask("POST", f"/webhooks/{other['id']}/filter/test", asked)
    assert explained["matched"]

    await operator.ask("DELETE", f"{path}/content")
    assert (await operator.ask("GET", path))["data"] is None


async def what_makes_no_sense_is_refused(operator: Operator) -> None:
    made = await operator.webhook("refused")
    base = {"url": f"{operator.receiver.url}x", "events": ["*"]}
    for wrong in (
        {"ordering": "by_colour"},
        {"head_of_line": "skip_after:0"},
        {"retry_schedule": "5s,,2h"},
        {"retry_schedules": {"nothing.*": "5s"}},
        {"filter": {"data.x": {"$regex": ".*"}}},
        {"headers": {"Host": "evil"}},
    ):
        await operator.refused(422, "VALIDATION_FAILED", "/webhooks", base | wrong)
    path = f"/webhooks/{made['id']}"
    await operator.refused(422, "NOTHING_TO_REPLAY", f"{path}/replay", {"since": SINCE})
    await operator.refused(422, "VALIDATION_FAILED", f"{path}/rotate-secret", {"overlap_s": -1})
    await operator.refused(404, "NOT_FOUND", "/deliveries/dlv_nobody/redeliver")
    assert not operator.at("x")


async def a_failing_endpoint_is_parked_and_recovers(operator: Operator) -> None:
    made = await operator.webhook("outage", retry_schedule="1s,1s,1s,1s,1s,1s,1s")
    path = f"/webhooks/{made['id']}"
    operator.receiver.answer = lambda _: 503
    events = await operator.publish("outage", 15)
    await operator.until(path, health="parked")
    events += await operator.publish("outage", 15)

    operator.receiver.answer = lambda _: 200

    await operator.until(path, health="healthy")
    for event in events:
        await operator.until(f"/deliveries/{event['deliveries'][0]['id']}", state="succeeded")
    figures = await operator.ask("GET", f"{path}/stats")
    assert (figures["parked"], figures["attempts_by_status_code"]["200"]) == (0, 30)
    undelivered = {"state": "undelivered", "webhook": made["id"]}
    assert await operator.ask("GET", "/deliveries", params=undelivered) == []


async def a_window_is_replayed(operator: Operator) -> None:
    made = await operator.webhook("replayed")
    await operator.publish("replayed", 12)
    before = len(await operator.came("replayed", 12))
    path = f"/webhooks/{made['id']}/replay"
    await all_sent(operator, made["id"])

    counted = await operator.ask("POST", path, {"since": SINCE, "dry_run": True})
    assert (counted["total"], counted["by_state"]) == (12, {"succeeded": 12})
    answer = await operator.http.post(path, json={"since": SINCE} | SENT)
    assert answer.status_code == 202, answer.text
    place = answer.headers["location"].removeprefix("/v2")

    job = await operator.until(place, state="completed")
    assert (job["total"], job["sent"]) == (12, 12)
    got = await operator.came("replayed", before + 12)
    assert sorted(one.event_id for one in got[12:]) == sorted(one.event_id for one in got[:12])
    await operator.refused(409, "REPLAY_STATE_CONFLICT", f"{place}/resume")


async def a_replay_is_paused_resumed_and_cancelled(operator: Operator) -> None:
    made = await operator.webhook("slowly")
    await operator.publish("slowly", 20)
    await operator.came("slowly", 20)
    await all_sent(operator, made["id"])
    order: dict[str, Any] = {"since": SINCE, "rate": 1} | SENT
    path = f"/webhooks/{made['id']}/replay"
    job = await operator.ask("POST", path, order, expect=202)
    place = f"/replays/{job['id']}"
    await operator.came("slowly", 22)

    await operator.refused(409, "REPLAY_UNDER_WAY", path, order)
    await operator.ask("POST", f"{place}/pause")
    await operator.refused(409, "REPLAY_STATE_CONFLICT", f"{place}/pause")
    paused = await operator.ask("GET", place)
    await operator.ask("POST", f"{place}/resume")
    await operator.came("slowly", 20 + paused["sent"] + 1)
    await operator.ask("POST", f"{place}/cancel")

    cancelled = await operator.until(place, state="cancelled")
    assert paused["sent"] < cancelled["sent"] < 20
    assert len(await operator.came("slowly", 20 + cancelled["sent"])) == 20 + cancelled["sent"]


async def all_sent(operator: Operator, webhook_id: str) -> None:
    async def are() -> bool:
        params = {"state": "undelivered", "webhook": webhook_id}
        return not await operator.ask("GET", "/deliveries", params=params)

    await eventually(are, within_s=WITHIN_S, every_s=0.1)


def first_time_at(got: Got, path: str) -> bool:
    return got.path == path and got.count == 1

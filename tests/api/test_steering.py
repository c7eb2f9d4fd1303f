"""Workflows that are steered and followed by the API."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError
from temporalio.worker import Worker

from api.dependencies import Services
from domain.ids import new_uuid
from domain.saga import SagaState
from runtime.starting import start_run
from runtime.temporal import ErrorsAsFailures, activity_methods, workflow_runner
from storage.tables import SagaRun
from storage.tenants import DEFAULT_TENANT
from tests.api.asking import open_account, problem_of, two_accounts
from tests.api.serving import serve
from tests.api.waiting import Asks
from worker.build import saga_implementations

WAITING_RAIL = {"rail": "sandbox", "sandbox": {"rail": {"confirm_after_ms": 60_000}}}


@pytest_asyncio.fixture
async def asks(
    services: Services, key: str, queue: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """The id of a run that waits for an approval."""
    monkeypatch.setattr(
        "api.workflow_control.all_sagas", lambda: {"asks": SimpleNamespace(workflow=Asks)}
    )
    id = new_uuid()
    run = SagaRun(
        workflow_id=f"asks/{id}",
        tenant_id=DEFAULT_TENANT,
        type="asks",
        initiated_by="test",
        request={"input": {"id": id}},
    )

    async def add(session: Any) -> None:
        session.add(run)

    await services.database.transact(add)
    async with Worker(
        services.temporal,
        task_queue=queue,
        workflows=[Asks],
        activities=activity_methods(saga_implementations(services.settings, services.database)),
        workflow_runner=workflow_runner(),
        interceptors=[ErrorsAsFailures()],
    ):
        await start_run(services.temporal, run)
        yield run.workflow_id
        handle = services.temporal.get_workflow_handle(run.workflow_id)
        with suppress(RPCError, WorkflowFailureError):  # It may have ended.
            await handle.cancel()
            await handle.result()


async def test_an_approval_lets_it_go_on(api: httpx.AsyncClient, asks: str, key: str) -> None:
    body = {"approved": True, "note": "seen"}
    answer = await asked(api, f"/workflows/{asks}/approve", body)

    key_id = key.split("_")[2]
    assert answer == {"workflow_id": asks, "answer": f"release: approved by {key_id}"}
    run = await ends(api, asks)
    assert (run["state"], run["result"]) == ("completed", {"by": key_id, "nudges": 0})
    late = await api.post(f"/workflows/{asks}/approve", json=body)
    problem_of(late, 409, "WORKFLOW_ENDED")


async def test_a_rejection_ends_it(api: httpx.AsyncClient, asks: str) -> None:
    await asked(api, f"/workflows/{asks}/approve", {"approved": False})

    run = await ends(api, asks)

    assert (run["state"], run["failure"]["code"]) == ("failed", "approval_rejected")


async def test_what_it_does_not_wait_for_is_a_conflict(api: httpx.AsyncClient, asks: str) -> None:
    await asked(api, f"/workflows/{asks}/updates/double", {"arguments": [1]})
    other = await api.post(f"/workflows/{asks}/approve", json={"approved": True, "what": "other"})
    stuck = await api.post(f"/workflows/{asks}/operate", json={"verdict": "retry"})

    problem_of(other, 409, "NOT_AWAITED")
    problem_of(stuck, 409, "NOT_STUCK")


async def test_declared_signals_and_updates_are_passed_on(
    api: httpx.AsyncClient, asks: str
) -> None:
    told = await api.post(f"/workflows/{asks}/signals/nudge", json={"arguments": [3]})
    doubled = await asked(api, f"/workflows/{asks}/updates/double", {"arguments": [21]})
    await asked(api, f"/workflows/{asks}/approve", {"approved": True})

    assert told.status_code == 202
    assert doubled["answer"] == 42
    assert (await ends(api, asks))["result"]["nudges"] == 3


@pytest.mark.parametrize(
    ("path", "arguments", "field"),
    [
        ("signals/nudge", [], "arguments"),
        ("signals/nudge", ["x"], "arguments.0"),
        ("updates/double", [1, 2], "arguments"),
    ],
)
async def test_wrong_arguments_are_named(
    api: httpx.AsyncClient, asks: str, path: str, arguments: list[Any], field: str
) -> None:
    answer = await api.post(f"/workflows/{asks}/{path}", json={"arguments": arguments})

    assert field in problem_of(answer, 422, "VALIDATION_FAILED")


async def test_what_its_type_does_not_declare_is_absent(api: httpx.AsyncClient, asks: str) -> None:
    for path in ("signals/double", "signals/none", "updates/operate"):
        answer = await api.post(f"/workflows/{asks}/{path}", json={"arguments": [1]})
        problem_of(answer, 404, "NOT_FOUND")


async def test_a_cancelled_transfer_gives_the_money_back(
    api: httpx.AsyncClient, working: None
) -> None:
    body = await two_accounts(api) | WAITING_RAIL
    transfer = (await api.post("/transfers", json=body)).json()["data"]
    await reaches(api, transfer["workflow_id"], "hold_source")

    answer = await api.post(f"/transfers/{transfer['id']}/cancel")

    assert answer.status_code == 202
    run = await ends(api, transfer["workflow_id"])
    assert run["state"] == "cancelled"
    account = (await api.get(f"/accounts/{body['from_account']}")).json()["data"]
    assert account["available_balance"] == "500.00"
    again = await api.post(f"/workflows/{transfer['workflow_id']}/cancel")
    problem_of(again, 409, "WORKFLOW_ENDED")


async def test_cancelled_before_it_was_started_it_still_tells_its_end(
    api: httpx.AsyncClient, services: Services, working: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = await two_accounts(api)

    async def away(*_: Any) -> None:
        raise RuntimeError("Failed client connect: nobody there")

    with monkeypatch.context() as broken:
        broken.setattr("api.starting.start_run", away)
        transfer = (await api.post("/transfers", json=body)).json()["data"]

    answer = await api.post(f"/transfers/{transfer['id']}/cancel")

    assert answer.status_code == 202
    assert (await ends(api, transfer["workflow_id"]))["state"] in ("cancelled", "completed")


async def test_a_completed_transfer_is_reversed(api: httpx.AsyncClient, working: None) -> None:
    body = await two_accounts(api)
    transfer = (await api.post("/transfers?wait=10", json=body)).json()["data"]

    order = {"reason": "sent twice", "refund_fee": True}
    answer = await api.post(f"/transfers/{transfer['id']}/reverse?wait=10", json=order)

    assert answer.status_code == 201, answer.text
    reversal = answer.json()["data"]
    assert (reversal["from_account"], reversal["status"]) == (body["to_account"], "completed")
    assert (await api.get(f"/transfers/{reversal['id']}")).json()["data"] == reversal
    original = (await api.get(f"/transfers/{transfer['id']}")).json()["data"]
    assert (original["status"], original["reversed_by"]) == ("reversed", reversal["id"])
    again = await api.post(f"/transfers/{transfer['id']}/reverse", json=order)
    problem_of(again, 409, "TRANSFER_NOT_REVERSIBLE")
    for account in (body["from_account"], body["to_account"]):
        listed = (await api.get(f"/accounts/{account}/transfers")).json()["data"]
        assert [one["id"] for one in listed] == [reversal["id"], transfer["id"]]


async def test_each_type_has_a_route_of_its_own(api: httpx.AsyncClient, working: None) -> None:
    body = await two_accounts(api)

    answer = await api.post("/workflows/transfer?wait=10", json=body)
    unknown = await api.post("/workflows/transfer", json=body | {"colour": "red"})

    assert answer.status_code == 201
    assert answer.json()["data"]["state"] == "completed"
    assert "colour" in problem_of(unknown, 422, "VALIDATION_FAILED")


async def test_a_story_is_followed_live_and_taken_up_again(
    app: FastAPI, api: httpx.AsyncClient, key: str, working: None
) -> None:
    transfer = (await api.post("/transfers", json=await two_accounts(api))).json()["data"]
    path = f"/v2/workflows/{transfer['workflow_id']}/events/stream"
    headers = {"Authorization": f"Bearer {key}"}

    async with serve(app) as url, httpx.AsyncClient(base_url=url, headers=headers) as client:
        whole = await followed(client, path)
        rest = await followed(client, path, {"Last-Event-ID": whole[1]["id"]})

    assert [event["id"] for event in whole] == [str(n) for n in range(1, len(whole) + 1)]
    assert whole[0]["event"] == "workflow.started"
    assert whole[-1]["event"] == "workflow.completed"
    assert json.loads(whole[0]["data"])["event_type"] == "workflow.started"
    assert rest == whole[2:]


async def test_the_list_of_runs_is_filtered(api: httpx.AsyncClient, working: None) -> None:
    account_id = await open_account(api)

    by_subject = (await api.get(f"/workflows?subject={account_id}")).json()["data"]
    wrong_type = (await api.get("/workflows?type=transfer")).json()["data"]
    wrong_state = (await api.get("/workflows?type=open_account&state=stuck")).json()["data"]
    not_a_state = await api.get("/workflows?state=sleeping")

    assert [run["id"] for run in by_subject] == [f"open_account/{account_id}"]
    assert wrong_type == wrong_state == []
    problem_of(not_a_state, 422, "VALIDATION_FAILED")


async def asked(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The run may not have come to its question yet."""
    for _ in range(100):
        answer = await api.post(path, json=body)
        if answer.status_code != 409:
            break
        await asyncio.sleep(0.05)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def reaches(api: httpx.AsyncClient, workflow_id: str, step: str) -> None:
    for _ in range(200):
        run = (await api.get(f"/workflows/{workflow_id}")).json()["data"]
        if step in [one["name"] for one in run["steps"]]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(run)


async def ends(api: httpx.AsyncClient, workflow_id: str) -> dict[str, Any]:
    for _ in range(200):
        run: dict[str, Any] = (await api.get(f"/workflows/{workflow_id}")).json()["data"]
        if run["state"] not in (SagaState.ACCEPTED, SagaState.RUNNING, SagaState.COMPENSATING):
            return run
        await asyncio.sleep(0.05)
    raise AssertionError(run)


async def followed(
    client: httpx.AsyncClient, path: str, headers: dict[str, str] | None = None
) -> list[dict[str, str]]:
    events: list[dict[str, str]] = []
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                events.append(fields)
                fields = {}
    return events

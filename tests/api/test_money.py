"""Accounts, transfers and workflows, through the API, with a worker."""

import asyncio
from typing import Any

import httpx
import pytest

from api.dependencies import Services
from domain.saga import SagaState
from runtime.starting import start_run
from storage.accepting import runs_to_start
from storage.types import utc_now
from tests.api.asking import open_account, problem_of, two_accounts


@pytest.mark.parametrize("amount", ["500.00", 50_000, "500"])
async def test_an_account_opens_with_money_in_it(
    api: httpx.AsyncClient, working: None, amount: Any
) -> None:
    account_id = await open_account(api, initial_balance=amount)

    account = (await api.get(f"/accounts/{account_id}")).json()["data"]
    balances = (await api.get(f"/accounts/{account_id}/balances")).json()["data"]

    assert account["status"] == "active"
    assert (account["balance"], account["balance_minor"]) == ("500.00", 50_000)
    assert account["workflow_id"] in account["workflow_url"].replace("%2F", "/")
    assert balances["balances"][0]["available_balance"] == "500.00"
    assert balances["summary"]["total_assets"] == 1


async def test_a_transfer_is_followed_to_its_end(api: httpx.AsyncClient, working: None) -> None:
    body = await two_accounts(api) | {"reference": "Invoice 7", "metadata": {"order": "7"}}

    answer = await api.post("/transfers?wait=10", json=body)

    assert answer.status_code == 201
    transfer = answer.json()["data"]
    assert transfer["status"] == "completed"
    assert (transfer["amount"], transfer["amount_minor"]) == ("50.00", 5_000)
    assert (transfer["reference"], transfer["metadata"]) == ("Invoice 7", {"order": "7"})
    assert answer.headers["location"] == f"/v2/transfers/{transfer['id']}"
    assert (await api.get(f"/transfers/{transfer['id']}")).json()["data"] == transfer
    assert (await balance(api, body["to_account"])) == "50.00"


async def test_a_refused_transfer_tells_why(api: httpx.AsyncClient, working: None) -> None:
    body = await two_accounts(api) | {"amount": "5000.00"}

    answer = await api.post("/transfers?wait=30", json=body)

    assert answer.status_code == 200
    transfer = answer.json()["data"]
    assert transfer["status"] == "failed"
    assert transfer["failure"]["code"] == "insufficient_funds"
    assert (await balance(api, body["from_account"])) == "500.00"


async def test_a_workflow_shows_its_steps_and_its_story(
    api: httpx.AsyncClient, working: None
) -> None:
    transfer = (await api.post("/transfers?wait=10", json=await two_accounts(api))).json()["data"]

    run = (await api.get(f"/workflows/{transfer['workflow_id']}")).json()["data"]

    assert run["state"] == "completed"
    assert [step["name"] for step in run["steps"]][:2] == ["open_transfer", "hold_source"]
    assert [event["sequence"] for event in run["events"]] == list(range(1, len(run["events"]) + 1))
    assert run["events"][0]["type"] == "workflow.started"
    assert run["events"][-1]["type"] == "workflow.completed"
    assert run["summary"].startswith("transfer 50.00 USD …")
    escaped = transfer["workflow_id"].replace("/", "%2F")
    assert (await api.get(f"/workflows/{escaped}")).json()["data"] == run


async def test_what_is_personal_never_reaches_the_engine(
    api: httpx.AsyncClient, services: Services, working: None
) -> None:
    body = await two_accounts(api) | {"reference": "CANARY-1", "metadata": {"note": "CANARY-2"}}
    transfer = (await api.post("/transfers?wait=10", json=body)).json()["data"]

    handle = services.temporal.get_workflow_handle(transfer["workflow_id"])
    history = b"".join([event.SerializeToString() async for event in handle.fetch_history_events()])

    assert body["from_account"].encode() in history
    assert b"CANARY" not in history


async def test_any_workflow_is_started_by_type(api: httpx.AsyncClient, working: None) -> None:
    body = await two_accounts(api)
    types = (await api.get("/workflow-types")).json()["data"]
    assert {"transfer", "open_account", "currency_conversion_transfer"} <= {
        t["name"] for t in types
    }

    answer = await api.post("/workflows?wait=10", json={"type": "transfer", "input": body})

    assert answer.status_code == 201
    run = answer.json()["data"]
    assert run["state"] == "completed"
    assert (await api.get(f"/transfers/{run['subject_id']}")).json()["data"][
        "status"
    ] == "completed"
    found = (await api.get("/workflows?type=transfer&state=completed")).json()["data"]
    assert [one["id"] for one in found] == [run["id"]]


@pytest.mark.parametrize(
    ("type", "changed", "field"),
    [
        ("transfr", {}, "type"),
        ("transfer", {"amount": 1.5}, "input.amount"),
        ("transfer", {"to_account": "nobody"}, "input.to_account"),
        ("transfer", {"colour": "red"}, "input.colour"),
        ("transfer", {"id": "a/b"}, "input.id"),
        ("transfer", {"expires_in_s": -1}, "input.expires_in_s"),
    ],
)
async def test_bad_workflow_input_is_named(
    api: httpx.AsyncClient, working: None, type: str, changed: dict[str, Any], field: str
) -> None:
    body = await two_accounts(api) | changed
    answer = await api.post("/workflows", json={"type": type, "input": body})

    assert answer.status_code == 422
    assert field in answer.json()["errors"], answer.text


async def test_an_accepted_transfer_outlives_an_engine_that_is_away(
    api: httpx.AsyncClient, services: Services, working: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = await two_accounts(api)

    async def away(*_: Any) -> None:
        raise RuntimeError("Failed client connect: nobody there")

    with monkeypatch.context() as broken:
        broken.setattr("api.starting.start_run", away)
        answer = await api.post("/transfers", json=body)
    assert answer.status_code == 202
    transfer = answer.json()["data"]
    assert (transfer["status"], transfer["state"]) == ("pending", "accepted")

    async with services.database.read() as session:
        [run] = await runs_to_start(session, accepted_before=utc_now())
    await start_run(services.temporal, run)

    assert await ends(api, transfer["workflow_id"]) == SagaState.COMPLETED


async def test_without_a_worker_the_answer_is_202(api: httpx.AsyncClient) -> None:
    body = {"user_uuid": "u", "name": "n"}
    answer = await api.post("/accounts?wait=0.2", json=body)

    assert answer.status_code == 202
    account = answer.json()["data"]
    assert account["status"] == "pending"
    assert (await api.get(f"/accounts/{account['id']}")).json()["data"] == account


async def test_nobody_waits_longer_than_the_operator_allows(api: httpx.AsyncClient) -> None:
    answer = await api.post("/accounts?wait=31", json={"user_uuid": "u", "name": "n"})

    assert "wait" in problem_of(answer, 422, "VALIDATION_FAILED")


async def test_an_id_of_ones_own_makes_asking_twice_asking_once(
    api: httpx.AsyncClient, working: None
) -> None:
    body = await two_accounts(api) | {"id": "invoice-7"}
    first = await api.post("/transfers?wait=10", json=body)
    again = await api.post("/transfers?wait=10", json=body)
    other = await api.post("/transfers?wait=10", json=body | {"amount": "51.00"})

    assert first.json()["data"] == again.json()["data"]
    assert "id" in problem_of(other, 409, "DUPLICATE_REQUEST")
    assert (await balance(api, body["to_account"])) == "50.00"


async def balance(api: httpx.AsyncClient, account_id: str) -> str:
    found: str = (await api.get(f"/accounts/{account_id}")).json()["data"]["balance"]
    return found


async def ends(api: httpx.AsyncClient, workflow_id: str) -> str:
    for _ in range(100):
        state: str = (await api.get(f"/workflows/{workflow_id}")).json()["data"]["state"]
        if state in ("completed", "failed"):
            return state
        await asyncio.sleep(0.05)
    return state

import asyncio

import httpx
import pytest

from api.dependencies import Services
from storage.idempotency import ANSWERS
from tests.api.asking import QUICK_SETUP, make_webhook, problem_of, two_accounts
from tests.api.test_auth import UNFROZEN
from tests.figures import Figure

KEY = {"Idempotency-Key": "key-1"}


async def test_the_same_key_and_body_give_the_same_answer(
    api: httpx.AsyncClient, working: None
) -> None:
    body = await two_accounts(api)
    first = await api.post("/transfers", json=body, headers=KEY)
    again = await api.post("/transfers", json=body, headers=KEY)

    assert first.status_code == again.status_code == 202
    assert first.content == again.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert len((await api.get("/transfers")).json()["data"]) == 1


async def test_having_waited_the_outcome_is_the_answer(
    api: httpx.AsyncClient, working: None
) -> None:
    body = await two_accounts(api)
    accepted = await api.post("/transfers", json=body, headers=KEY)
    waited = await api.post("/transfers?wait=10", json=body, headers=KEY)
    again = await api.post("/transfers", json=body, headers=KEY)

    assert (accepted.status_code, waited.status_code, again.status_code) == (202, 201, 201)
    assert waited.content == again.content


async def test_the_order_of_fields_is_not_another_body(api: httpx.AsyncClient) -> None:
    first = await api.post("/webhooks", json=QUICK_SETUP, headers=KEY)
    turned = dict(reversed(QUICK_SETUP.items()))
    again = await api.post("/webhooks", json=turned, headers=KEY)

    assert first.content == again.content


async def test_another_body_under_the_same_key_is_422(api: httpx.AsyncClient) -> None:
    await api.post("/webhooks", json=QUICK_SETUP, headers=KEY)
    other = await api.post("/webhooks", json=QUICK_SETUP | {"name": "x"}, headers=KEY)

    problem_of(other, 422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_refused_request_leaves_its_key_free(api: httpx.AsyncClient) -> None:
    refused = await api.post("/webhooks", json=QUICK_SETUP | {"url": "x"}, headers=KEY)
    assert refused.status_code == 422

    assert (await api.post("/webhooks", json=QUICK_SETUP, headers=KEY)).status_code == 201


async def test_a_second_request_while_the_first_runs_is_409(api: httpx.AsyncClient) -> None:
    body = {"user_uuid": "u", "name": "n"}
    first = asyncio.create_task(api.post("/accounts?wait=1", json=body, headers=KEY))
    await asyncio.sleep(0.3)
    second = await api.post("/accounts", json=body, headers=KEY)

    problem_of(second, 409, "REQUEST_IN_FLIGHT")
    assert second.headers["retry-after"] == "1"
    assert (await first).status_code == 202


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("keys", [20, pytest.param(200, marks=pytest.mark.security)])
async def test_many_at_once_have_one_effect(
    keys: int, api: httpx.AsyncClient, figure: Figure
) -> None:
    """So many keys, each with fifty identical requests at the same time."""

    async def post(number: int) -> httpx.Response:
        headers = {"Idempotency-Key": f"key-{number}"}
        return await api.post("/events", json=UNFROZEN, headers=headers)

    made = set()
    for number in range(keys):
        answers = await asyncio.gather(*(post(number) for _ in range(50)))
        assert {answer.status_code for answer in answers} <= {202, 409}
        [content] = {answer.content for answer in answers if answer.status_code == 202}
        assert (await post(number)).content == content
        made.add(content)

    total = (await api.get("/events")).json()["meta"]["total"]
    figure(f"{keys} keys, 50 requests each at once: {total} events")
    assert total == len(made) == keys


async def test_a_kept_answer_does_not_show_its_secret(
    api: httpx.AsyncClient, services: Services
) -> None:
    created = await api.post("/webhooks", json=QUICK_SETUP, headers=KEY)

    async with services.database.read() as session:
        row = (await session.execute(ANSWERS.select())).one()
    assert created.json()["data"]["secret"] not in str(row.answer)


async def test_without_a_key_each_request_is_its_own(api: httpx.AsyncClient) -> None:
    first, second = await make_webhook(api), await make_webhook(api)

    assert first["id"] != second["id"]

"""Bad input is a 4xx with the field's name in the one shape, and nothing is stored."""

from typing import Any

import httpx
import pytest

from tests.api.asking import QUICK_SETUP, open_account, problem_of, two_accounts
from tests.bad_urls import bad_urls

UNKNOWN = "0199c5a2-0000-7000-8000-00000000ffff"
JSON = {"content-type": "application/json"}


async def stored(api: httpx.AsyncClient, resource: str) -> int:
    total: int = (await api.get(f"/{resource}")).json()["meta"]["total"]
    return total


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (["transfer.complete"], "did you mean 'transfer.completed'?"),
        (["transfer.completed", "nonsense"], "unknown event type 'nonsense'"),
        ([], "at least 1 item"),
        ("*", "valid list"),
    ],
)
async def test_unknown_event_types_are_refused_with_a_suggestion(
    api: httpx.AsyncClient, events: Any, says: str
) -> None:
    answer = await api.post("/webhooks", json=QUICK_SETUP | {"events": events})

    assert says in problem_of(answer, 422, "VALIDATION_FAILED")["events"][0]
    assert await stored(api, "webhooks") == 0


async def test_no_bad_url_becomes_a_webhook(api: httpx.AsyncClient) -> None:
    lines = bad_urls()
    for line in lines:
        answer = await api.post("/webhooks", json=QUICK_SETUP | {"url": line.url})
        assert answer.status_code in (413, 422), line
    assert len(lines) > 150
    assert await stored(api, "webhooks") == 0


async def test_a_bad_url_says_what_to_write(api: httpx.AsyncClient) -> None:
    answer = await api.post("/webhooks", json=QUICK_SETUP | {"url": "http://example.com/"})

    errors = problem_of(answer, 422, "URL_REFUSED")

    assert errors == {"url": ["the URL must start with https://"]}


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"X-A": "two\r\nlines"}, {"bad name": "x"}]
)
async def test_headers_that_would_forge_a_request_are_refused(
    api: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await api.post("/webhooks", json=QUICK_SETUP | {"headers": headers})

    assert "headers" in problem_of(answer, 422, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (50.0, "VALIDATION_FAILED"),
        (0.1, "VALIDATION_FAILED"),
        (True, "VALIDATION_FAILED"),
        (None, "VALIDATION_FAILED"),
        ({"value": 5}, "VALIDATION_FAILED"),
        ("fifty", "INVALID_AMOUNT"),
        ("1e3", "INVALID_AMOUNT"),
        ("50,00", "INVALID_AMOUNT"),
        ("", "INVALID_AMOUNT"),
        ("50.001", "INVALID_AMOUNT"),
        ("0.00", "INVALID_AMOUNT"),
        ("-1.00", "INVALID_AMOUNT"),
        (0, "INVALID_AMOUNT"),
        (-5, "INVALID_AMOUNT"),
        (10**16, "INVALID_AMOUNT"),
    ],
)
async def test_malformed_amounts_are_refused(
    api: httpx.AsyncClient, amount: Any, code: str
) -> None:
    body = {"from_account": "a", "to_account": "b", "amount": amount}
    answer = await api.post("/transfers", json=body)

    assert list(problem_of(answer, 422, code)) == ["amount"]
    assert await stored(api, "transfers") == await stored(api, "workflows") == 0


@pytest.mark.parametrize("amount", [5.5, "x", "-3", 10**16])
async def test_malformed_initial_balances_are_refused(api: httpx.AsyncClient, amount: Any) -> None:
    body = {"user_uuid": "u", "name": "n", "initial_balance": amount}
    answer = await api.post("/accounts", json=body)

    assert answer.status_code == 422
    assert await stored(api, "accounts") == 0


async def test_the_same_account_twice_is_refused(api: httpx.AsyncClient) -> None:
    body = {"from_account": UNKNOWN, "to_account": UNKNOWN, "amount": "1.00"}
    answer = await api.post("/transfers", json=body)

    assert "to_account" in problem_of(answer, 422, "SAME_ACCOUNT")


async def test_an_unknown_account_is_named(api: httpx.AsyncClient, working: None) -> None:
    body = {"from_account": await open_account(api), "to_account": UNKNOWN, "amount": "1.00"}
    answer = await api.post("/transfers", json=body)

    errors = problem_of(answer, 422, "ACCOUNT_NOT_FOUND")

    assert errors == {"to_account": [f"there is no account {UNKNOWN}"]}
    assert await stored(api, "transfers") == 0


async def test_an_unknown_asset_is_named(api: httpx.AsyncClient) -> None:
    body = {"from_account": "a", "to_account": "b", "amount": "1.00", "asset_code": "XXX"}
    answer = await api.post("/transfers", json=body)

    assert "asset_code" in problem_of(answer, 422, "INVALID_ASSET_CODE")


async def test_a_field_we_do_not_know_is_refused(api: httpx.AsyncClient, working: None) -> None:
    answer = await api.post("/transfers", json=await two_accounts(api) | {"tenant_id": "x"})

    assert "tenant_id" in problem_of(answer, 422, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"url": ', "this is not JSON"),
        (b'{"url": NaN}', "NaN is not JSON"),
        (b'{"url": "\xff"}', "UTF-8"),
        (b'{"url": "\\ud800"}', "UTF-8"),
        (b'{"url": "a\\u0000b"}', "NUL"),
        (b"[" * 4_000, "nested too deeply"),
        (b'"text"', "dictionary or object"),
        (b"", "required"),
    ],
)
async def test_broken_json_is_refused(api: httpx.AsyncClient, content: bytes, says: str) -> None:
    answer = await api.post("/webhooks", content=content, headers=JSON)

    assert says in problem_of(answer, 422, "VALIDATION_FAILED")["body"][0]


async def test_what_is_not_json_at_all_is_415(api: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/xml"}
    answer = await api.post("/webhooks", content=b"<webhook/>", headers=headers)

    problem_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "application/x-www-form-urlencoded"}, JSON]
)
async def test_json_is_json_whatever_the_client_calls_it(
    api: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    content = b'{"url": "https://hooks.example.com/in", "events": ["*"]}'
    answer = await api.post("/webhooks", content=content, headers=headers)

    assert answer.status_code == 201


async def test_a_large_body_is_413(api: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b"x" * 1_000

    declared = await api.post("/webhooks", content=b"x" * 5_000, headers=JSON)
    streamed = await api.post("/webhooks", content=endless(), headers=JSON)

    problem_of(declared, 413, "BODY_TOO_LARGE")
    problem_of(streamed, 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("per_page=251", "per_page"),
        ("page=1000&per_page=250", "page"),
        ("cursor=%21%21", "cursor"),
        ("cursor=WzFd", "cursor"),
        ("cursor=WyJhIiwiYiIsImMiXQ", "cursor"),
        ("since=yesterday", "since"),
        ("state=x%00", "query"),
    ],
)
async def test_bad_queries_are_refused(api: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await api.get(f"/workflows?{query}")

    assert field in problem_of(answer, 422, "VALIDATION_FAILED")


async def test_absent_routes_and_methods_have_the_same_shape(api: httpx.AsyncClient) -> None:
    problem_of(await api.get("/nothing"), 404, "NOT_FOUND")
    problem_of(await api.get("/accounts/x%00y"), 404, "NOT_FOUND")
    wrong = await api.delete("/transfers")
    problem_of(wrong, 405, "METHOD_NOT_ALLOWED")
    assert "GET" in wrong.headers["allow"]


async def test_a_path_tells_its_own_methods_and_not_those_of_a_wider_one(
    api: httpx.AsyncClient,
) -> None:
    current, any_key = await api.put("/api-keys/current"), await api.put("/api-keys/x")

    assert current.headers["allow"] == "GET"
    assert any_key.headers["allow"] == "GET, PATCH"


@pytest.mark.parametrize(
    ("saga", "given", "field"),
    [
        (
            "deposit",
            {"amount": "25.00", "sandbox": {"rail": {"confirm_after_ms": False}}},
            "sandbox.rail.confirm_after_ms",
        ),
        ("transaction_monitoring", {"moved_until": 0}, "moved_until"),
        ("transfer", {"to_account": "b", "amount": "1", "expires_in_s": "60"}, "expires_in_s"),
    ],
)
async def test_what_only_resembles_a_workflows_field_is_refused(
    api: httpx.AsyncClient, saga: str, given: dict[str, Any], field: str
) -> None:
    payer = {"from_account": "a"} if saga == "transfer" else {"account_uuid": "a"}

    typed = await api.post(f"/workflows/{saga}", json=payer | given)
    named = await api.post("/workflows", json={"type": saga, "input": payer | given})

    assert field in problem_of(typed, 422, "VALIDATION_FAILED")
    assert f"input.{field}" in problem_of(named, 422, "VALIDATION_FAILED")
    assert await stored(api, "workflows") == 0

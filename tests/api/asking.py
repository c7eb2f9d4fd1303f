"""What tests of the API ask for again and again."""

from typing import Any

import httpx

QUICK_SETUP = {"url": "https://hooks.example.com/in", "events": ["*"]}


async def open_account(
    api: httpx.AsyncClient, *, initial_balance: str | int = 0, currency: str = "USD"
) -> str:
    body = {
        "user_uuid": "user-1",
        "name": "Operating account",
        "base_currency": currency,
        "initial_balance": initial_balance,
    }
    answer = await api.post("/accounts", json=body)
    assert answer.status_code == 201, answer.text
    account_id: str = answer.json()["data"]["uuid"]
    return account_id


async def two_accounts(api: httpx.AsyncClient) -> dict[str, Any]:
    """The body of a transfer between two accounts, the first of which has 500.00 USD."""
    source = await open_account(api, initial_balance="500.00")
    return {"from_account": source, "to_account": await open_account(api), "amount": "50.00"}


async def make_webhook(api: httpx.AsyncClient, **changed: Any) -> dict[str, Any]:
    answer = await api.post("/webhooks", json=QUICK_SETUP | changed)
    assert answer.status_code == 201, answer.text
    webhook: dict[str, Any] = answer.json()["data"]
    return webhook


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, list[str]]:
    """Check that the answer is a problem of the one shape; return its errors by field."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["error"]["code"] == code
    assert body["message"] == body["detail"] == body["error"]["message"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    errors: dict[str, list[str]] = body["errors"]
    return errors

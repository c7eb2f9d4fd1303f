"""The product's official Python SDK, as it is on PyPI, against a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
import pytest_asyncio
import requests
from fastapi import FastAPI
from finaegis import FinAegis
from finaegis.exceptions import (
    AuthenticationError,
    FinAegisError,
    NotFoundError,
    RateLimitError,
    ServerError,
    ValidationError,
)
from requests.adapters import HTTPAdapter

from api.dependencies import Services
from api.errors import ApiError
from tests.api.serving import serve

Result = TypeVar("Result")
USER = "0199c5a2-0000-7000-8000-00000000000a"


@pytest_asyncio.fixture
async def server(app: FastAPI, working: None) -> AsyncIterator[str]:
    async with serve(app) as url:
        yield url


@pytest.fixture
def sdk(server: str, key: str) -> FinAegis:
    return FinAegis(api_key=key, base_url=f"{server}/v2/", max_retries=0)


async def call(method: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
    """The SDK blocks: it runs in a thread, and the server in this loop."""
    return await asyncio.to_thread(method, *arguments, **named)


async def account(sdk: FinAegis, initial_balance: int | None = None) -> str:
    made = await call(sdk.accounts.create, USER, "Operating", initial_balance)
    uuid: str = made.uuid
    return uuid


async def test_accounts_live_and_die(sdk: FinAegis) -> None:
    made = await call(sdk.accounts.create, USER, "Operating", 50_000)
    assert (made.name, made.user_uuid, made.balance, made.frozen) == (
        "Operating",
        USER,
        500.0,
        False,
    )
    assert await call(sdk.accounts.get, made.uuid) == made

    frozen = await call(sdk.accounts.freeze, made.uuid, "court order", authorized_by="K. Clerk")
    assert frozen["message"]
    assert (await call(sdk.accounts.get, made.uuid)).frozen
    thawed = await call(sdk.accounts.unfreeze, made.uuid, "order lifted")
    assert thawed["message"]
    assert not (await call(sdk.accounts.get, made.uuid)).frozen

    await call(sdk.accounts.withdraw, made.uuid, 50_000)
    gone = await call(sdk.accounts.delete, made.uuid)
    assert gone["message"]
    with pytest.raises(NotFoundError):
        await call(sdk.accounts.get, made.uuid)


async def test_money_comes_and_goes(sdk: FinAegis) -> None:
    uuid = await account(sdk)

    came = await call(sdk.accounts.deposit, uuid, 10_000)
    went = await call(sdk.accounts.withdraw, uuid, 2_500, "USD")

    assert (came.type, came.amount, came.status) == ("deposit", 100.0, "completed")
    assert (went.type, went.amount, went.status) == ("withdrawal", 25.0, "completed")
    balances = await call(sdk.accounts.get_balances, uuid)
    [usd] = balances["balances"]
    assert (usd["asset_code"], usd["available_balance"]) == ("USD", "75.00")
    assert (usd["reserved_balance"], usd["total_balance"]) == ("0.00", "75.00")

    of_account = await call(sdk.accounts.get_transactions, uuid)
    of_all = await call(sdk.transactions.list)
    assert [line.id for line in of_account.data] == [went.id, came.id]
    assert of_all == of_account
    assert of_account.data[0] == await call(sdk.transactions.get, went.id)


async def test_a_transfer_is_seen_from_both_sides(sdk: FinAegis) -> None:
    source, target = await account(sdk, 50_000), await account(sdk)

    made = await call(sdk.transfers.create, source, target, 5_000, reference="Invoice 7")
    transfer = await completed(sdk, made.uuid)

    assert (transfer.amount, transfer.asset_code) == (50.0, "USD")
    assert transfer.reference == "Invoice 7"
    assert transfer.completed_at is not None
    for side in (source, target):
        assert (await call(sdk.accounts.get_transfers, side)).data == [transfer]
    [line] = (await call(sdk.accounts.get_transactions, target)).data
    assert (line.type, line.amount, line.reference) == ("deposit", 50.0, "Invoice 7")
    assert await call(sdk.transactions.get, line.id) == line


async def completed(sdk: FinAegis, uuid: str) -> Any:
    for _ in range(200):
        transfer = await call(sdk.transfers.get, uuid)
        if transfer.status != "pending":
            break
        await asyncio.sleep(0.05)
    assert transfer.status == "completed"
    return transfer


async def test_webhooks_are_managed(sdk: FinAegis) -> None:
    url = "https://hooks.example.com/in"
    made = await call(
        sdk.webhooks.create,
        "Orders",
        url,
        ["transfer.*"],
        headers={"X-Token": "t"},
        secret="s" * 32,
    )
    assert (made.name, made.url, made.events, made.is_active) == (
        "Orders",
        url,
        ["transfer.*"],
        True,
    )
    assert await call(sdk.webhooks.get, made.uuid) == made
    assert (await call(sdk.webhooks.list)).data == [made]

    changed = await call(sdk.webhooks.update, made.uuid, name="All", events=["*"], is_active=False)
    assert (changed.name, changed.events, changed.is_active) == ("All", ["*"], False)
    assert changed.url == url

    deliveries = await call(sdk.webhooks.get_deliveries, made.uuid)
    assert deliveries["data"] == []
    assert deliveries["meta"]["total"] == 0
    assert (await call(sdk.webhooks.delete, made.uuid))["message"]
    with pytest.raises(NotFoundError):
        await call(sdk.webhooks.get, made.uuid)


async def test_events_are_listed_by_category(sdk: FinAegis) -> None:
    categories = await call(sdk.webhooks.get_events)

    assert len(categories) == 9
    for event in categories["account"]:
        assert event["name"].startswith("account.")
        assert event["description"]


async def test_pages_have_the_members_that_the_sdk_reads(sdk: FinAegis) -> None:
    for number in range(3):
        await call(sdk.webhooks.create, f"w{number}", "https://hooks.example.com/", ["*"])

    first = await call(sdk.webhooks.list, page=1, per_page=2)
    second = await call(sdk.webhooks.list, page=2, per_page=2)

    assert [hook.name for hook in first.data + second.data] == ["w2", "w1", "w0"]
    assert (first.current_page, second.current_page) == (1, 2)
    assert (first.per_page, first.total, first.last_page) == (2, 3, 2)


@pytest.mark.parametrize("base", ["", "/", "/v2", "/v2/", "/api", "/api/", "/api/v2", "/api/v2/"])
async def test_any_base_url_leads_here(server: str, key: str, base: str) -> None:
    sdk = FinAegis(api_key=key, base_url=f"{server}{base}", max_retries=0)

    assert (await call(sdk.accounts.list)).total == 0
    assert (await call(sdk.transactions.list)).total == 0
    assert (await call(sdk.webhooks.list)).total == 0
    assert await call(sdk.webhooks.get_events)
    with pytest.raises(NotFoundError):
        await call(sdk.transfers.get, "nobody")


async def test_its_own_local_environment_leads_here(server: str, key: str) -> None:
    sdk = FinAegis(api_key=key, environment="local")
    sdk.session.mount("http://localhost:8000", PortOfTheTest(server))

    assert (await call(sdk.accounts.list)).total == 0


class PortOfTheTest(HTTPAdapter):
    """Only one process can have port 8000: the SDK's URL is otherwise sent as it is."""

    def __init__(self, server: str) -> None:
        super().__init__()
        self._server = server

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> Any:
        assert request.url is not None
        request.url = request.url.replace("http://localhost:8000", self._server)
        return super().send(request, *args, **more)


async def test_errors_are_of_the_sdks_classes(sdk: FinAegis, server: str) -> None:
    stranger = FinAegis(api_key="sp_live_nobody", base_url=server, max_retries=0)
    with pytest.raises(AuthenticationError) as unknown:
        await call(stranger.accounts.list)
    with pytest.raises(NotFoundError) as absent:
        await call(sdk.accounts.get, "nobody")
    with pytest.raises(ValidationError) as invalid:
        await call(sdk.webhooks.create, "w", "http://plain.example.com", ["*"])

    assert unknown.value.status_code == 401
    assert str(absent.value) == "there is no account nobody"
    assert invalid.value.errors == {"url": ["the URL must start with https://"]}


async def test_business_refusals_have_the_products_codes(sdk: FinAegis) -> None:
    uuid = await account(sdk, 1_000)

    assert await refusal(sdk.accounts.delete, uuid) == "ACCOUNT_HAS_BALANCE"
    assert await refusal(sdk.accounts.unfreeze, uuid, "why") == "ACCOUNT_NOT_FROZEN"
    assert await refusal(sdk.accounts.withdraw, uuid, 5_000) == "INSUFFICIENT_FUNDS"
    await call(sdk.accounts.freeze, uuid, "court order")
    assert await refusal(sdk.accounts.freeze, uuid, "again") == "ACCOUNT_ALREADY_FROZEN"
    assert await refusal(sdk.accounts.withdraw, uuid, 500) == "ACCOUNT_FROZEN"
    assert await refusal(sdk.accounts.delete, uuid) == "ACCOUNT_FROZEN"


async def refusal(method: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        await call(method, *arguments)
    code: str = refused.value.response_data["error"]["code"]
    return code


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, RateLimitError), (503, ServerError), (500, ServerError), (409, FinAegisError)],
)
async def test_other_answers_are_told_apart(
    sdk: FinAegis, monkeypatch: pytest.MonkeyPatch, status: int, kind: type[FinAegisError]
) -> None:
    def fail(*_: object) -> None:
        raise ApiError("not now", retry_after_s=7).under(status, "some_code")

    monkeypatch.setattr("api.accounts.accounts_of", fail)
    sdk.session.mount("http://", HTTPAdapter())  # Its own one retries these, and never tells.
    with pytest.raises(kind) as failed:
        await call(sdk.accounts.list)

    assert type(failed.value) is kind
    assert str(failed.value) == "not now"
    assert failed.value.response_data["retry_after"] == 7


async def test_it_waits_as_told_and_tries_again(
    server: str, key: str, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With retries, as it is set by default, a passing outage is not seen by its caller."""
    failures = iter([503, 429])

    def fail(tenant_id: str) -> Any:
        status = next(failures, None)
        if status is not None:
            raise ApiError("not now", retry_after_s=1).under(status, "some_code")
        return accounts_of(tenant_id)

    from storage.views import accounts_of

    monkeypatch.setattr("api.accounts.accounts_of", fail)
    sdk = FinAegis(api_key=key, base_url=server)

    assert (await call(sdk.accounts.list)).total == 0

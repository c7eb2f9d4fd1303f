"""Secrets and personal texts, put into every field that takes one: where do they turn up?"""

import asyncio
import base64
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from api.app import ROUTERS
from cli.demo.processes import Listener, RunningStack, start_listener, start_stack
from tests.figures import Figure
from tests.runtime.stand_ins import free_ports
from tests.security.canaries import Canaries, contents_of, found

pytestmark = pytest.mark.timeout(180)
WEBHOOKS = 3
PARAMETER = re.compile(r"\{(\w+)\}")
# What the person at the terminal is shown by `up`, and the files with mode 0600 that keep it.
SHOWN = re.compile(rb"\n  API key .*")
KEPT = ("root-key", "secrets-key")


@dataclass
class Bank:
    """A stack, what was hidden in it, and everything that its API answered."""

    stack: RunningStack
    listener: Listener
    http: httpx.AsyncClient
    folder: Path
    canaries: Canaries
    ids: dict[str, str] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)
    metrics: bytes = b""

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        answer = await self.http.request(method, f"/v2{path}", json=body, headers=headers)
        self.answers.append(str(answer.headers).encode() + answer.content)
        return answer

    async def shown_once(self, path: str, body: Any, **headers: str) -> Any:
        """A request whose answer shows a secret, the only time that anything does."""
        answer = await self.ask("POST", path, body, **headers)
        assert answer.status_code in (201, 202), answer.text
        self.answers.pop()
        return answer.json()["data"]


@pytest_asyncio.fixture(scope="module")
async def bank(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bank]:
    """With everything done in it, and all of its processes ended."""
    folder, canaries = tmp_path_factory.mktemp("bank"), Canaries()
    at_rest = os.urandom(32)
    canaries.secret["key at rest"] = at_rest
    root_key = canaries.hide("root key")
    stack = await start_stack(
        folder,
        SAGAPOST_SECRETS_KEY=base64.b64encode(at_rest).decode(),
        SAGAPOST_ROOT_API_KEY=root_key,
        SAGAPOST_LOG_LEVEL="debug",
        SAGAPOST_LOG_FORMAT="json",
    )
    listener = await start_listener(folder, "receiver")
    headers = {"Authorization": f"Bearer {root_key}"}
    try:
        async with httpx.AsyncClient(
            base_url=stack.ready.api_url, headers=headers, timeout=30, trust_env=False
        ) as http:
            bank = Bank(stack, listener, http, folder, canaries)
            await live(bank)
            await read_everything(bank)
    finally:
        await listener.stop()
        await stack.stop()
    yield bank


def test_no_secret_is_in_our_database(bank: Bank, figure: Figure) -> None:
    contents = contents_of((bank.folder / "data").glob("sagapost.db*"))

    assert found(bank.canaries.secret, contents) == []
    assert found(bank.canaries.personal, contents), "the search does not find what is there"
    figure(f"{len(bank.canaries.secret)} secrets, 0 in {len(contents)} bytes of our database")


def test_nothing_secret_or_personal_is_in_the_engine(bank: Bank, figure: Figure) -> None:
    contents = contents_of(
        path for path in (bank.folder / "data").rglob("*") if "temporal" in path.name
    )

    assert found(bank.canaries.secret | bank.canaries.personal, contents) == []
    assert found({"a transfer": bank.ids["transfer_id"].encode()}, contents)
    figure(f"0 secret or personal texts in {len(contents)} bytes of Temporal's files")


def test_nothing_secret_or_personal_is_in_a_log(bank: Bank, figure: Figure) -> None:
    logs = contents_of([*(bank.folder / "data" / "logs").rglob("*"), bank.folder / "up.log"])
    contents = SHOWN.sub(b"", logs)

    assert found(bank.canaries.secret | bank.canaries.personal, contents) == []
    assert found({"a webhook": bank.ids["webhook_id"].encode()}, contents)
    figure(f"0 secret or personal texts in {len(contents)} bytes of logs, at level debug")


def test_no_secret_is_in_an_answer_but_the_one_that_shows_it(bank: Bank, figure: Figure) -> None:
    contents = b"\n".join(bank.answers)

    assert found(bank.canaries.secret, contents) == []
    assert found(bank.canaries.personal, contents), "the search does not find what is there"
    figure(f"0 secrets in {len(bank.answers)} answers, {len(contents)} bytes")


def test_no_secret_is_in_any_other_file(bank: Bank) -> None:
    files = [path for path in (bank.folder / "data").rglob("*") if path.is_file()]
    others = [path for path in files if path.name not in KEPT]

    assert [path for path in others if found(bank.canaries.secret, path.read_bytes())] == []
    assert all(path.stat().st_mode & 0o077 == 0 for path in files if path.name in KEPT)
    assert (bank.folder / "data").stat().st_mode & 0o077 == 0


def test_nothing_secret_or_personal_is_in_the_metrics(bank: Bank) -> None:
    if not bank.metrics:
        pytest.skip("the API has no route /metrics")
    assert b"sagapost_" in bank.metrics
    assert found(bank.canaries.secret | bank.canaries.personal, bank.metrics) == []


@pytest.mark.parametrize("text", [b"canary-a-1b2c", b'quote"and\\slash', b"\xff\x00raw"])
@pytest.mark.parametrize("around", [b"", b"a", b"ab", b"abc"])
def test_the_search_finds_what_is_hidden_in_another_form(text: bytes, around: bytes) -> None:
    needle = text * 3
    for contents in (needle, needle.hex().encode(), base64.b64encode(around + needle + around)):
        assert found({"it": needle}, b"..." + contents + b"...") == ["it"]


async def live(bank: Bank) -> None:
    """Webhooks that succeed, fail and are refused; rotations; transfers; errors of every kind."""
    await make_webhooks(bank)
    await rotate(bank)
    await move_money(bank)
    await ask_badly(bank)
    for _ in range(300):
        if await has_succeeded_and_failed(bank):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("no delivery succeeded, or one endpoint was never tried")


async def has_succeeded_and_failed(bank: Bank) -> bool:
    deliveries = (await bank.ask("GET", "/deliveries?per_page=250")).json()["data"]
    tried = {one["webhook_id"] for one in deliveries if one["attempts"]}
    return len(tried) == WEBHOOKS and any(one["state"] == "succeeded" for one in deliveries)


async def make_webhooks(bank: Bank) -> None:
    hide, listener = bank.canaries.hide, bank.listener
    [closed] = free_ports(1)
    plain = hide("endpoint secret")
    encoded = f"whsec_{base64.b64encode(hide('whsec secret').encode()).decode()}"
    for number, (url, secret) in enumerate(
        [
            (f"{listener.url}/hook", encoded),
            (f"http://127.0.0.1:{closed}/nobody", plain),
            ("https://nowhere.sagapost.invalid.example.com/", None),
        ]
    ):
        body = {
            "url": url,
            "events": ["*"],
            "secret": secret,
            "headers": {"X-Api-Key": hide(f"header {number}")},
            "retry_schedule": "1s",
        }
        key = {"Idempotency-Key": f"make-{number}"}
        made = await bank.shown_once("/webhooks", body, **key)
        again = await bank.shown_once("/webhooks", body, **key)
        assert made == again
        hide(f"secret shown {number}", made["secret"])
        bank.ids.setdefault("webhook_id", made["id"])
    bank.listener.tell_secret(encoded)


async def rotate(bank: Bank) -> None:
    """The receiver goes on with the old secret, which still signs."""
    path = f"/webhooks/{bank.ids['webhook_id']}"
    rotated = await bank.shown_once(f"{path}/rotate-secret", {"overlap_s": 600})
    bank.canaries.hide("rotated secret", rotated["secret"])
    await bank.ask("POST", f"{path}/key-pair")
    await bank.ask("PATCH", path, {"headers": {"X-Api-Key": bank.canaries.hide("new header")}})
    await bank.ask("POST", f"{path}/test")


async def move_money(bank: Bank) -> None:
    tell = bank.canaries.tell
    accounts = [await open_account(bank, tell(f"name {number}")) for number in range(2)]
    bank.ids["account_id"] = accounts[0]
    body = {"from_account": accounts[0], "to_account": accounts[1], "asset_code": "USD"}
    rail = {"rail": "sandbox", "sandbox": {"rail": {"refuse": "rail_unavailable"}}}
    wanted: list[dict[str, Any]] = [{"amount": "1"}, {"amount": "9999"}, {"amount": "2"} | rail]
    for number, more in enumerate(wanted):
        personal = {
            "reference": tell(f"reference {number}"),
            "metadata": {"note": tell(f"note {number}")},
        }
        transfer = await bank.ask("POST", "/transfers?wait=20", body | more | personal)
        bank.ids.setdefault("transfer_id", transfer.json()["data"]["uuid"])


async def open_account(bank: Bank, name: str) -> str:
    body = {
        "user_uuid": "user-1",  # An id, like all others that the engine may know.
        "name": name,
        "initial_balance": 100_000,
        "metadata": {"note": bank.canaries.tell(f"note about {name[:13]}")},
    }
    answer = await bank.ask("POST", "/accounts", body)
    assert answer.status_code == 201, answer.text
    account_id: str = answer.json()["data"]["uuid"]
    await asyncio.sleep(1)
    return account_id


async def ask_badly(bank: Bank) -> None:
    """What is refused must not be repeated to whoever reads answers or logs."""
    hide = bank.canaries.hide
    url = {"url": f"{bank.listener.url}/x", "events": ["*"]}
    await bank.ask("POST", "/webhooks", url | {"secret": hide("bad secret") + " \u00e9"})
    await bank.ask("POST", "/webhooks", url | {"headers": {"X-Key": hide("bad header") + "\r\n"}})
    await bank.ask("POST", "/webhooks", url | {"headers": {"Host": hide("reserved header")}})
    await bank.ask("POST", "/webhooks", url | {"secret": [hide("secret in a list")]})
    await bank.ask("GET", "/accounts", Authorization=f"Bearer {hide('wrong key')}")
    await bank.ask("GET", "/accounts", Authorization=f"Basic {hide('basic password')}")
    await bank.ask("GET", "/accounts", Cookie=f"session={hide('cookie')}")
    await bank.ask("GET", f"/accounts?api_key={bank.canaries.tell('key in a query')}")
    broken = {"Content-Type": "application/json", "X-Request-Id": f"{hide('request id')} \x7f"}
    content = f'{{"secret": "{hide("secret in broken JSON")}'
    answer = await bank.http.post("/v2/webhooks", content=content, headers=broken)
    bank.answers.append(answer.content)


async def read_everything(bank: Bank) -> None:
    """Every GET there is, with every id that is known."""
    deliveries = (await bank.ask("GET", "/deliveries?per_page=100")).json()["data"]
    bank.ids["delivery_id"] = deliveries[0]["id"]
    bank.ids["event_id"] = deliveries[0]["event_id"]
    bank.ids |= {"type": "transfer", "id": bank.ids["transfer_id"], "name": "transfer"}
    routes = [route for router in ROUTERS for route in router.routes]
    gets = {
        route.path
        for route in routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or set())
    }
    for path in sorted(gets):
        if not path.endswith("/stream") and set(PARAMETER.findall(path)) <= set(bank.ids):
            await bank.ask("GET", path.format(**bank.ids))
    metrics = await bank.ask("GET", "/metrics")
    bank.metrics = metrics.content if metrics.is_success else b""
    for delivery in deliveries:
        await bank.ask("GET", f"/deliveries/{delivery['id']}")

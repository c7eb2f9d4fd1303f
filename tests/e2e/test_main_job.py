"""The path of an event, walked whole: real processes, real sockets, a real Temporal server."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cli.demo.client import Client
from cli.demo.processes import Listener, RunningStack, start_stack
from cli.demo.story import wait_until_delivered
from runtime.ready import Ready

pytestmark = pytest.mark.timeout(180)
TRANSFERS = 12


async def test_the_demo_ends_well() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "demo"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()[-4000:]
    assert "money is conserved in every currency" in output.decode()


async def test_killing_the_worker_loses_nothing_and_moves_no_money_twice(
    stack: RunningStack, api: Client, listener: Listener, tmp_path: Path
) -> None:
    await subscribe(api, listener)
    payer, payee = await open_account(api, 100_000), await open_account(api, 0)
    transfers = [await start_transfer(api, payer, payee) for _ in range(TRANSFERS)]

    os.kill(pid_of(stack, "worker"), signal.SIGKILL)

    for transfer in transfers:
        assert await outcome(api, transfer) == "completed"
    assert await balance(api, payee) == TRANSFERS * 1_000
    # What the dead worker was about to do is another's once its heartbeat has been missed.
    assert await wait_until_delivered(api, within_s=100) == 0
    posts = listener.received()
    assert all(post["verified"] for post in posts)
    assert accepted(posts) == await committed(api)


async def test_a_restart_goes_on_with_a_transfer_in_flight(tmp_path: Path) -> None:
    first = await start_stack(tmp_path)
    async with Client(first.ready.api_url, first.ready.api_key or "") as api:
        payer, payee = await open_account(api, 100_000), await open_account(api, 0)
        waiting = {"rail": "sandbox", "sandbox": {"rail": {"confirm_after_ms": 4_000}}}
        transfer = await start_transfer(api, payer, payee, **waiting)
        await until(lambda: has_status(api, transfer, "pending"))
    await first.stop()

    second = await start_stack(tmp_path)
    try:
        async with Client(second.ready.api_url, second.ready.api_key or "") as api:
            assert await outcome(api, transfer) == "completed"
            assert await balance(api, payee) == 1_000
    finally:
        await second.stop()


async def subscribe(api: Client, listener: Listener) -> None:
    webhook = await api.post("/v2/webhooks", {"url": f"{listener.url}/hook", "events": ["*"]})
    listener.tell_secret(webhook["secret"])


async def open_account(api: Client, balance_minor: int) -> str:
    account = await api.post(
        "/v2/accounts", {"user_uuid": "u", "name": "test", "initial_balance": balance_minor}
    )
    await until(lambda: is_active(api, account["uuid"]))
    uuid: str = account["uuid"]
    return uuid


async def start_transfer(api: Client, payer: str, payee: str, **more: Any) -> str:
    body = {"from_account": payer, "to_account": payee, "amount": "10.00", "asset_code": "USD"}
    transfer = await api.post("/v2/transfers", body | more)
    uuid: str = transfer["uuid"]
    return uuid


async def outcome(api: Client, transfer: str) -> str:
    async def ended() -> bool:
        found = await api.get(f"/v2/transfers/{transfer}")
        return found["status"] in ("completed", "failed", "expired")

    await until(ended)
    status: str = (await api.get(f"/v2/transfers/{transfer}"))["status"]
    return status


async def has_status(api: Client, transfer: str, status: str) -> bool:
    found = await api.get(f"/v2/transfers/{transfer}")
    return bool(found["status"] == status)


async def is_active(api: Client, account: str) -> bool:
    found = await api.get(f"/v2/accounts/{account}")
    return bool(found["status"] == "active")


async def balance(api: Client, account: str) -> int:
    found = await api.get(f"/v2/accounts/{account}/balances")
    minor: int = found["balances"][0]["total_balance_minor"]
    return minor


async def committed(api: Client) -> set[str]:
    """The ids of all events there are."""
    ids: set[str] = set()
    page = 1
    while True:
        found = await api.page("/v2/events", per_page=250, page=page)
        ids |= {event["id"] for event in found["data"]}
        if page >= found["meta"]["last_page"]:
            return ids
        page += 1


def accepted(posts: list[dict[str, Any]]) -> set[str]:
    return {post["event_id"] for post in posts if post["status"] == 200}


def pid_of(stack: RunningStack, name: str) -> int:
    ready = Ready.read(stack.log.parent / "ready.json")
    pid = ready.pids[name]
    assert pid is not None
    return pid


async def until(is_so: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    for _ in range(round(seconds / 0.1)):
        if await is_so():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not so within {seconds} s")

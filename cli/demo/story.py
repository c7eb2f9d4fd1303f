"""The three stories of the demo, told through the API as a customer would."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from cli.demo.client import Client

DELIVERED_WITHIN_S = 40
POLL_S = 0.1
WAIT_S = 20


@dataclass
class Run:
    """One saga of the demo: how it should end, and all that the API says of it."""

    title: str
    expected: str
    workflow: dict[str, Any]


@dataclass
class Story:
    """Everything that happened, as the API tells it."""

    runs: list[Run] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)


async def tell_stories(client: Client, console: Console) -> Story:
    story = Story()
    alice = await _open_account(client, story, "Alice, operating", 100_000)
    bob = await _open_account(client, story, "Bob, savings", 20_000)
    story.before = await _money(client)
    pays_bob = {"from_account": alice, "to_account": bob, "asset_code": "USD"}
    await _transfer(
        client, story, "a transfer of 50.00 USD", "completed", pays_bob | {"amount": "50.00"}
    )
    await _transfer(
        client,
        story,
        "a transfer of more than there is",
        "failed",
        pays_bob | {"amount": "2000.00"},
    )
    await _convert(client, story, alice, bob)
    story.after = await _money(client)
    for run in story.runs:
        console.print(f"  {'✓' if run.workflow['state'] == run.expected else '✗'} {run.title}")
    return story


async def _open_account(client: Client, story: Story, name: str, balance_minor: int) -> str:
    account = await client.post(
        "/v2/accounts",
        {
            "user_uuid": "0199c5a2-0000-7000-8000-00000000000a",
            "name": name,
            "initial_balance": balance_minor,
        },
    )
    run = await _ended(client, f"open_account/{account['uuid']}")
    story.runs.append(Run(f"open account “{name}”", "completed", run))
    uuid: str = account["uuid"]
    return uuid


async def _transfer(
    client: Client, story: Story, title: str, expected: str, body: dict[str, Any]
) -> None:
    transfer = await client.post("/v2/transfers", body | {"reference": title}, wait=WAIT_S)
    run = await _ended(client, transfer["workflow_id"])
    story.runs.append(Run(title, expected, run))


async def _convert(client: Client, story: Story, alice: str, bob: str) -> None:
    """The conversion is done, then the transfer's (sandbox) rail says no: converted back."""
    conversion = await client.post(
        "/v2/workflows",
        {
            "type": "currency_conversion_transfer",
            "input": {
                "from_account": alice,
                "to_account": bob,
                "amount": "100.00",
                "from_asset": "USD",
                "to_asset": "EUR",
                "rail": "sandbox",
                "sandbox": {"rail": {"refuse": "rail_unavailable"}},
            },
        },
        wait=WAIT_S,
    )
    workflow_id = conversion["workflow_id"]
    run = await _ended(client, workflow_id)
    story.runs.append(Run("a conversion whose transfer is refused", "failed", run))
    child = await _ended(client, workflow_id.replace("currency_conversion_transfer", "transfer"))
    story.runs.append(Run("  and that transfer, a saga of its own", "failed", child))


async def _ended(client: Client, workflow_id: str) -> dict[str, Any]:
    for _ in range(round(WAIT_S / POLL_S)):
        run: dict[str, Any] = await client.get(f"/v2/workflows/{workflow_id}")
        if run["ended_at"] is not None:
            return run
        await asyncio.sleep(POLL_S)
    return run


async def _money(client: Client) -> dict[str, int]:
    """Minor units per asset, over all accounts of the customers."""
    totals: dict[str, int] = {}
    for account in await client.get("/v2/accounts", per_page=100):
        found = await client.get(f"/v2/accounts/{account['uuid']}/balances")
        for balance in found["balances"]:
            asset = balance["asset_code"]
            totals[asset] = totals.get(asset, 0) + balance["total_balance_minor"]
    return totals


async def wait_until_delivered(
    client: Client,
    tell: Callable[[int], None] = lambda undelivered: None,
    *,
    within_s: float = DELIVERED_WITHIN_S,
) -> int:
    """Wait until no delivery is on its way; returns how many still are."""
    undelivered = 0
    for _ in range(round(within_s / POLL_S)):
        page = await client.page("/v2/deliveries", state="undelivered", per_page=1)
        undelivered = page["meta"]["total"]
        if not undelivered:
            break
        tell(undelivered)
        await asyncio.sleep(POLL_S)
    return undelivered

"""What the whole does: deliveries from commit to record, transfers from request to end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from sqlalchemy import func, select

from bench.figures import Latency
from cli.demo.client import Client
from domain.catalogue import YieldHarvested
from runtime.database import Database
from storage.outbox import DELIVERIES, publish
from storage.types import utc_now

BACKLOG = 3_000
PUBLISHED_AT_ONCE = 100
LIGHT_ROUNDS = 40
TRANSFERS = 200
TRANSFERS_IN_FLIGHT = 24
API_ROUNDS = 30
POLL_S = 0.02
MAX_IN_FLIGHT = 256
SETTLED_WITHIN_S = 120


class Bench:
    """One running stack, its database, and a receiver of everything."""

    def __init__(self, database: Database, api: Client, receiver_url: str, tenant_id: str) -> None:
        self._database = database
        self._api = api
        self._receiver_url = receiver_url
        self._tenant_id = tenant_id

    async def listen(self) -> None:
        """From now on the receiver gets every event."""
        webhook = {"url": f"{self._receiver_url}/hook", "events": ["*"]}
        await self._api.post("/v2/webhooks", webhook | {"max_in_flight": MAX_IN_FLIGHT})

    async def deliveries_per_s(self) -> float:
        """A backlog is committed, then timed from the first commit to the last record."""
        began = time.perf_counter()
        for _ in range(BACKLOG // PUBLISHED_AT_ONCE):
            await self._publish(PUBLISHED_AT_ONCE)
        await self._until_settled()
        return BACKLOG / (time.perf_counter() - began)

    async def publish_to_receive(self) -> Latency:
        """One event at a time, with pauses: from before its commit to its POST's arrival."""
        published: dict[str, float] = {}
        for _ in range(LIGHT_ROUNDS):
            began = time.monotonic()
            [event_id] = await self._publish(1)
            published[event_id] = began
            await asyncio.sleep(0.1)
        await self._until_settled()
        arrivals = await self._ask("/arrivals")
        return Latency.of([arrivals[event_id] - began for event_id, began in published.items()])

    async def transfer_alone(self) -> Latency:
        """One transfer at a time by the API, from the request to the answer, with `?wait`."""
        transfer = await self._transfers()
        return Latency.of([await transfer() for _ in range(API_ROUNDS)])

    async def transfers_per_s(self) -> float:
        """Many at a time, in the same way."""
        transfer = await self._transfers()
        gate = asyncio.Semaphore(TRANSFERS_IN_FLIGHT)

        async def one() -> None:
            async with gate:
                await transfer()

        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(TRANSFERS)))
        return TRANSFERS / (time.perf_counter() - began)

    async def _transfers(self) -> Callable[[], Awaitable[float]]:
        """Makes a transfer between two new accounts, and says how many seconds it took."""
        payer, payee = await self._account(10_000_000), await self._account(0)
        body = {"from_account": payer, "to_account": payee, "amount": 100, "asset_code": "USD"}

        async def transfer() -> float:
            began = time.perf_counter()
            found = await self._api.post("/v2/transfers", body, wait=30)
            assert found["status"] == "completed", found
            return time.perf_counter() - began

        return transfer

    async def _account(self, balance_minor: int) -> str:
        account = await self._api.post(
            "/v2/accounts",
            {"user_uuid": "bench", "name": "bench", "initial_balance": balance_minor},
        )
        uuid: str = account["uuid"]
        return uuid

    async def _publish(self, count: int) -> list[str]:
        story = [(YieldHarvested.example(), None)] * count
        return await self._database.transact(
            lambda session: publish(session, self._tenant_id, story, now=utc_now())
        )

    async def _until_settled(self) -> None:
        query = select(func.count()).where(DELIVERIES.c.state != "succeeded")
        for _ in range(round(SETTLED_WITHIN_S / POLL_S)):
            async with self._database.read() as session:
                if not await session.scalar(query):
                    return
            await asyncio.sleep(POLL_S)
        raise TimeoutError(f"not everything was delivered within {SETTLED_WITHIN_S} s")

    async def _ask(self, path: str) -> Any:
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(f"{self._receiver_url}{path}")).json()

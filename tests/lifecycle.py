"""A small Sagapost for tests: endpoints, events, and on request everything that sends them."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.service import RPCError

from domain.catalogue import EVENT_TYPES
from domain.ids import new_id
from domain.replay import ReplayFilter
from domain.signing import Secret, new_secret
from runtime.database import Database
from runtime.safe import seal_secret
from runtime.settings import Settings
from runtime.temporal import DELIVERY_QUEUE, RETRY_QUEUE
from runtime.vault import Vault
from storage import replays
from storage.lifecycle_tables import ReplayJob
from storage.outbox import publish
from storage.replays import ReplayOrder
from storage.tables import Endpoint, Tenant
from storage.types import utc_now
from tests.conftest import TENANT, worker
from worker.build import build
from worker.relay import Relay

KEY = bytes(32)
BY = "key_test"
SOME_EVENT = "yield.harvested"


class House:
    """A database, with verbs for what tests do to it."""

    def __init__(self, database: Database, vault: Vault | None = None) -> None:
        self.database = database
        self.vault = vault or Vault([KEY])

    async def endpoint(self, secret: Secret | None = None, **columns: Any) -> Endpoint:
        columns = {
            "tenant_id": TENANT,
            "url": "http://127.0.0.1:9/",
            "event_types": ["*"],
        } | columns
        endpoint = Endpoint(id=new_id("ep"), **columns)

        async def work(session: AsyncSession) -> None:
            session.add(endpoint)
            await session.flush()
            session.add(seal_secret(self.vault, endpoint.id, secret or new_secret()))

        await self.database.transact(work)
        return endpoint

    async def tenant(self, id: str) -> None:
        async def work(session: AsyncSession) -> None:
            session.add(Tenant(id=id, name=id))

        await self.database.transact(work)

    async def publish(
        self, number: int = 1, event_type: str = SOME_EVENT, *, tenant: str = TENANT, **columns: Any
    ) -> list[str]:
        data = EVENT_TYPES[event_type].example().model_copy(update=columns)
        return await self.database.transact(
            lambda session: publish(session, tenant, [(data, None)] * number, now=utc_now())
        )

    async def execute(self, statement: str, **values: Any) -> None:
        await self.database.transact(lambda session: session.execute(text(statement), values))

    async def rows(self, query: str, **values: Any) -> Sequence[Any]:
        async with self.database.read() as session:
            return (await session.execute(text(query), values)).all()

    async def value(self, query: str, **values: Any) -> Any:
        [[value]] = await self.rows(query, **values)
        return value

    async def settle_all(self, state: str = "succeeded") -> None:
        """As if everything had been sent a moment ago, with one attempt each."""
        await self.execute(
            "UPDATE deliveries SET state = :state, attempts = 1, settled_at = created_at",
            state=state,
        )
        await self.execute(
            "INSERT INTO attempts (delivery_id, number, trigger, outcome, decision, reason,"
            " duration_ms, response_headers, response_body, sent_at)"
            " SELECT id, 1, 'schedule', 'answered', 'settle', 'delivered', 1, '[]', '', created_at"
            " FROM deliveries WHERE id NOT IN (SELECT delivery_id FROM attempts)"
        )

    async def replay(
        self, endpoint: Endpoint, *, per_second: int = 500, **filter: Any
    ) -> ReplayJob:
        """Order a replay, as the API does before it tells the engine."""
        wanted = ReplayFilter(
            utc_now() - timedelta(days=1), utc_now() + timedelta(seconds=1), **filter
        )
        async with self.database.read() as session:
            counted = await replays.count(session, endpoint, wanted)
        order = ReplayOrder(wanted, BY, per_second)
        return await self.database.transact(
            lambda session: replays.create_job(session, endpoint, order, counted, now=utc_now())
        )

    async def job(self, job_id: str) -> ReplayJob:
        async with self.database.read() as session:
            return await session.get_one(ReplayJob, job_id)

    async def act(self, action: Callable[..., Awaitable[ReplayJob]], job_id: str) -> ReplayJob:
        """Pause, resume or cancel, as the API does."""

        async def work(session: AsyncSession) -> ReplayJob:
            return await action(session, await session.get_one(ReplayJob, job_id), now=utc_now())

        return await self.database.transact(work)


def lifecycle_settings(folder: Path, **more: Any) -> Settings:
    usual: dict[str, Any] = {
        "data_dir": folder,
        "secrets_key": "A" * 43 + "=",  # KEY
        "endpoint_allow_cidrs": "127.0.0.0/8",
        "endpoint_allow_http": True,
        "relay_poll_interval": "50ms",
    }
    return Settings(**(usual | more))


@asynccontextmanager
async def sending(
    house: House, temporal: Client, settings: Settings, queue: str
) -> AsyncIterator[None]:
    """A relay and a worker, until the block ends."""
    async with (
        build(settings, house.database, temporal) as implementations,
        worker(temporal, queue, implementations.deliveries),
        worker(temporal, f"{queue}-retries", implementations.retries),
    ):
        relay = asyncio.create_task(Relay(house.database, temporal, settings).run())
        try:
            yield
        finally:
            relay.cancel()
            await asyncio.gather(relay, return_exceptions=True)


def own_queue(monkeypatch: pytest.MonkeyPatch) -> str:
    """A task queue of the test's own: no worker of another test takes its workflows."""
    queue = f"deliveries-{uuid4()}"
    # Every module that has imported the names, this one too.
    own = {
        "DELIVERY_QUEUE": (DELIVERY_QUEUE, queue),
        "RETRY_QUEUE": (RETRY_QUEUE, f"{queue}-retries"),
    }
    for module in [*sys.modules.values()]:
        for name, (shared, mine) in own.items():
            if vars(module).get(name) == shared:
                monkeypatch.setattr(module, name, mine)
    return queue


async def eventually(
    condition: Callable[[], Awaitable[Any]], *, within_s: float = 20, every_s: float = 0.02
) -> Any:
    """What the condition came to, once it is true."""
    until = time.monotonic() + within_s
    while not (found := await condition()):
        assert time.monotonic() < until, f"not within {within_s} s: {condition}"
        await asyncio.sleep(every_s)
    return found


async def waits(temporal: Client, delivery_id: str) -> bool:
    """Whether the run that retries it has found that it is not due yet."""
    try:
        described = await temporal.get_workflow_handle(f"delivery/{delivery_id}").describe()
    except RPCError:
        return False
    pending = described.raw_description.pending_activities
    return bool(pending) and pending[0].attempt == 2


async def are(house: House, state: str, number: int) -> bool:
    """Whether exactly so many deliveries are in this state."""
    query = "SELECT count(*) FROM deliveries WHERE state = :state"
    return bool(await house.value(query, state=state) == number)


async def triggers(house: House) -> list[str]:
    """Who caused each attempt, in the order of their numbers."""
    return [row.trigger for row in await house.rows("SELECT trigger FROM attempts ORDER BY number")]

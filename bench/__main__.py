"""`python -m bench`: start a stack, measure the ceilings and then the whole, print the table."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from sqlalchemy import select
from temporalio.client import Client as TemporalClient

from bench import ceilings
from bench.figures import Ceilings, Ours, show
from bench.ours import Bench
from cli.demo.client import Client
from cli.demo.processes import start_stack
from domain.url_policy import UrlPolicy
from runtime.database import Database
from runtime.settings import Settings
from runtime.temporal import connect
from runtime.wakeup import Bell
from storage.tables import Tenant

BATCHES = (16, 64, 256)
POLICY = UrlPolicy(allow_http=True, allow_networks=(ip_network("127.0.0.0/8"),))

REST_S = 8.0

Figure = TypeVar("Figure")

console = Console(highlight=False)


async def main() -> None:
    by_batch: dict[int, float] = {}
    for size in BATCHES[:-1]:
        async with _stack(size) as stack:
            await stack.bench.listen()
            by_batch[size] = await stack.bench.deliveries_per_s()
    async with _stack(BATCHES[-1]) as stack:
        alone, ours = await _measure(stack, by_batch)
    show(console, alone, ours)


async def _measure(stack: "Measured", by_batch: dict[int, float]) -> tuple[Ceilings, Ours]:
    """All of it on one stack: what is done one at a time first, and a rest after each crowd."""
    bench, temporal = stack.bench, stack.temporal
    workflow = await ceilings.idle(temporal)
    by_api = await bench.transfer_alone()
    workflows_per_s = await _rested(ceilings.busy(temporal))
    untold = await _rested(bench.transfers_per_s())
    await bench.listen()
    received = await _rested(bench.publish_to_receive())
    by_batch |= {BATCHES[-1]: await _rested(bench.deliveries_per_s())}
    told = await _rested(bench.transfers_per_s())
    posts_per_s = await _rested(ceilings.posts_per_s(stack.receiver_url, POLICY))
    return (
        Ceilings(workflows_per_s, workflow, posts_per_s),
        Ours(by_batch, received, untold, told, by_api),
    )


async def _rested(measuring: Awaitable[Figure]) -> Figure:
    """The engine is busy for a while with what it has just finished."""
    await asyncio.sleep(REST_S)
    return await measuring


@dataclass(frozen=True)
class Measured:
    bench: Bench
    temporal: TemporalClient
    receiver_url: str


@asynccontextmanager
async def _stack(batch_max: int) -> AsyncIterator[Measured]:
    """A whole stack in processes of its own, and a receiver in another."""
    console.print(f"a stack with batches of up to {batch_max} …", style="dim")
    with tempfile.TemporaryDirectory(prefix="sagapost-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        stack = await start_stack(folder, SAGAPOST_DELIVERY_BATCH_MAX=str(batch_max))
        receiver = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.receiver"), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert receiver.stdout is not None
            url = (await receiver.stdout.readline()).decode().strip()
            database = Database(stack.ready.database_url, bell=Bell(folder / "data"))
            async with Client(stack.ready.api_url, stack.ready.api_key or "") as api:
                settings = Settings(temporal_address=stack.ready.temporal_address)
                bench = Bench(database, api, url, await _tenant(database))
                yield Measured(bench, await connect(settings), url)
            await database.close()
        finally:
            receiver.terminate()
            await receiver.wait()
            await stack.stop()


async def _tenant(database: Database) -> str:
    async with database.read() as session:
        [tenant] = (await session.scalars(select(Tenant))).all()
        return tenant.id


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)  # The Temporal SDK may crash in the interpreter's own ending.

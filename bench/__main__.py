"""`python -m bench`: start a stack, measure the ceilings and then the whole, print the table."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

from rich.console import Console
from sqlalchemy import select

from bench import ceilings
from bench.figures import Ceilings, Ours, show
from bench.ours import Bench
from cli.demo.client import Client
from cli.demo.processes import start_stack
from domain.url_policy import UrlPolicy
from runtime.database import Database
from runtime.ready import Ready
from runtime.settings import Settings
from runtime.temporal import connect
from runtime.wakeup import Bell
from storage.tables import Tenant

BATCHES = (16, 64, 256)
POLICY = UrlPolicy(allow_http=True, allow_networks=(ip_network("127.0.0.0/8"),))

console = Console(highlight=False)


async def main() -> None:
    by_batch: dict[int, float] = {}
    alone: Ceilings | None = None
    for size in BATCHES:
        console.print(f"a stack with batches of up to {size} …", style="dim")
        async with _stack(size) as (ready, bench, receiver_url):
            if size == BATCHES[-1]:
                alone = await _ceilings(ready, receiver_url)
                untold, by_api = await bench.transfers()
            await bench.listen()
            if size == BATCHES[-1]:
                latency = await bench.publish_to_receive()
            by_batch[size] = await bench.deliveries_per_s()
            if size == BATCHES[-1]:
                told, _ = await bench.transfers()
    assert alone is not None
    show(console, alone, Ours(by_batch, latency, untold, told, by_api))


async def _ceilings(ready: Ready, receiver_url: str) -> Ceilings:
    settings = Settings(temporal_address=ready.temporal_address)
    return await ceilings.measure(await connect(settings), receiver_url, POLICY)


@asynccontextmanager
async def _stack(batch_max: int) -> AsyncIterator[tuple[Ready, Bench, str]]:
    """A whole stack in processes of its own, and a receiver in another."""
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
                yield stack.ready, Bench(database, api, url, await _tenant(database)), url
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

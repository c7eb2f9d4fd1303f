"""Fill the tables of a database with events and deliveries, as many as one likes, by plain SQL."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import new_id
from runtime.database import Database
from storage.tables import Endpoint

ENDPOINTS = 20
MAX_IN_FLIGHT = 1_000
AT_ONCE = 20_000  # Rows of one transaction.

NUMBERS = (
    "WITH RECURSIVE n(i) AS (SELECT CAST(:first AS INTEGER) UNION ALL"
    " SELECT i + 1 FROM n WHERE i < :last)"
)
# Ids that sort as they were made, in the width of real ones.
WIDE = {"sqlite": "printf('%s_%026d', '{0}', i)", "postgresql": "'{0}_' || lpad(i::text, 26, '0')"}
EVENTS = """
    INSERT INTO events (id, tenant_id, type, body, created_at)
    {numbers} SELECT {event}, CAST(:tenant AS VARCHAR), 'yield.harvested', {body}, {now} FROM n
"""
DELIVERIES = """
    INSERT INTO deliveries (id, tenant_id, event_id, endpoint_id, event_type, priority, state,
                            attempts, attempts_before, trigger, created_at, settled_at)
    {numbers} SELECT {delivery}, CAST(:tenant AS VARCHAR), {event}, endpoint.id,
                     'yield.harvested', 0,
                     CASE WHEN i > :settled THEN 'pending' ELSE 'succeeded' END,
                     CASE WHEN i > :settled THEN 0 ELSE 1 END, 0, 'schedule', {now}, {now}
              FROM n JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM endpoints)
                     AS endpoint ON endpoint.place = n.i % :endpoints
"""


async def add_endpoints(database: Database, tenant_id: str) -> None:
    async def work(session: AsyncSession) -> None:
        session.add_all(
            Endpoint(
                id=new_id("ep"),
                tenant_id=tenant_id,
                url="http://127.0.0.1:9/",
                event_types=["*"],
                max_in_flight=MAX_IN_FLIGHT,
            )
            for _ in range(ENDPOINTS)
        )

    await database.transact(work)


async def fill(database: Database, tenant_id: str, begin: int, end: int, *, pending: int) -> None:
    """Deliveries number `begin` + 1 to `end`, the last so many of them pending, the others sent."""
    for first in range(begin + 1, end + 1, AT_ONCE):
        last = min(end, first + AT_ONCE - 1)
        await database.transact(
            lambda session: _add(session, tenant_id, first, last, settled=end - pending)  # noqa: B023
        )
    async with database.read() as session:
        await session.execute(text("ANALYZE"))
        await session.commit()


async def _add(session: AsyncSession, tenant_id: str, first: int, last: int, settled: int) -> None:
    on_sqlite = session.get_bind().dialect.name == "sqlite"
    wide = WIDE["sqlite" if on_sqlite else "postgresql"]
    words = {
        "numbers": NUMBERS,
        "event": wide.format("evt"),
        "delivery": wide.format("dlv"),
        "body": "x'7b7d'" if on_sqlite else "'\\x7b7d'::bytea",
        "now": "'2026-01-01 12:00:00.000000'" if on_sqlite else "now()",
    }
    numbers = {"first": first, "last": last, "tenant": tenant_id}
    await session.execute(text(EVENTS.format(**words)), numbers)
    more = {"settled": settled, "endpoints": ENDPOINTS}
    await session.execute(text(DELIVERIES.format(**words)), numbers | more)

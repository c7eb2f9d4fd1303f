"""What is asked again and again seeks in an index, however much the tables hold; on both engines.

The planner is asked, not the clock: `python -m bench.claims` measures.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession

from bench.many_rows import add_endpoints, fill
from runtime.database import Database
from storage import claims, health, lanes, recovery, redelivery
from storage.claims import Limits
from storage.lanes import Turns
from storage.listing import Slice, find_own, list_rows
from storage.tables import Delivery
from storage.types import utc_now
from storage.views import DELIVERY_ORDER, deliveries_of
from tests.conftest import TENANT

ROWS = 20_000
PENDING = 1_000
# A partial index may be read whole: it holds only what is asked for.
SCAN = re.compile(
    r"Seq Scan on deliveries"
    r"|SCAN deliveries(?! USING (COVERING )?INDEX deliveries_(pending|in_flight|due|parked))"
)

Asked = list[tuple[str, Any]]
Work = Callable[[AsyncSession], Awaitable[Any]]


@pytest_asyncio.fixture
async def filled(database: Database) -> AsyncIterator[Database]:
    await add_endpoints(database, TENANT)
    await fill(database, TENANT, 0, ROWS, pending=PENDING)
    yield database


async def test_a_claim_reads_the_partial_index_of_what_is_pending(filled: Database) -> None:
    async def claim(session: AsyncSession) -> None:
        look = await lanes.look(session, "", slow=False)
        limits = Limits(64, timedelta(minutes=1))
        taken = await claims.claim(session, look.lanes, Turns(), limits, now=utc_now())
        assert taken.claimed is not None

    plans = await plans_of(filled, claim)

    assert "deliveries_pending" in "".join(plans)
    assert "deliveries_in_flight" in "".join(plans)
    no_scan(plans)


async def test_sweeps_and_lists_and_lookups_read_no_more_than_they_show(filled: Database) -> None:
    now = utc_now()
    delivery_id, endpoint_id = "dlv_" + "7".zfill(26), await an_endpoint(filled)
    works: list[Work] = [
        lambda session: claims.expired_claims(session, lease=timedelta(minutes=1), now=now),
        lambda session: claims.overdue_retries(session, before=now),
        lambda session: health.oldest_parked(session, endpoint_id, most=100),
        lambda session: health.park_pending(session, endpoint_id, reason="endpoint_parked"),
        lambda session: recovery.candidates(session, endpoint_id),
        lambda session: list_rows(session, deliveries_of("a small one"), DELIVERY_ORDER, Slice(50)),
        lambda session: find_own(session, Delivery, delivery_id, TENANT),
        lambda session: redelivery._locked(session, delivery_id),
    ]
    for work in works:
        plans = await plans_of(filled, work)
        assert plans
        no_scan(plans)


async def test_a_query_without_an_index_would_be_noticed(filled: Database) -> None:
    async def by_reason(session: AsyncSession) -> None:
        await session.execute(text("SELECT id FROM deliveries WHERE reason = 'gone'"))

    plans = await plans_of(filled, by_reason)

    with pytest.raises(AssertionError):
        no_scan(plans)


def no_scan(plans: list[str]) -> None:
    for plan in plans:
        assert not SCAN.search(plan), plan


async def plans_of(database: Database, work: Work) -> list[str]:
    """The plans of every statement about deliveries that the work executes."""
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    with asked() as statements:
        await database.transact(work)
    plans: list[str] = []
    async with database.read() as session:
        connection = await session.connection()
        for statement, parameters in statements:
            rows = await connection.exec_driver_sql(explain + statement, parameters)
            plans.append("\n".join(str(row[-1]) for row in rows))
    return plans


@contextmanager
def asked() -> Iterator[Asked]:
    statements: Asked = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "deliveries" in statement and not statement.lstrip().startswith("INSERT"):
            statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def an_endpoint(database: Database) -> str:
    async with database.read() as session:
        found: str = (await session.execute(text("SELECT min(id) FROM endpoints"))).scalar_one()
        return found

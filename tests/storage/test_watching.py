"""What monitoring, reports and maintenance ask of the books and the tables, on both engines."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from activities.monitoring import SqlMonitoringActivities
from activities.steps import Steps
from domain.compliance_report import Leg
from domain.ids import new_uuid
from domain.ledger import bank_account_id, ledger_account_id, move
from domain.maintenance import MaintenanceWindowRequest, Window
from domain.money import Money
from domain.monitoring import MonitoringRequest
from domain.saga import SagaInfo, StepCall
from domain.status import Measured, Status
from runtime.database import Database
from storage import ledger, maintenance, reports, statuses
from storage.ledger_tables import Account
from storage.monitoring_tables import Violation
from storage.types import utc_now
from tests.conftest import TENANT

MINUTE = timedelta(minutes=1)


def saga(name: str, tenant_id: str = TENANT) -> SagaInfo:
    return SagaInfo(f"{name}/{new_uuid()}", "r", name, tenant_id, "key", (), utc_now())


async def rich(database: Database, minor: int) -> str:
    """An account that was just given so much. Returns its id."""
    account_id = new_uuid()
    entry = move(
        new_uuid(),
        "deposit",
        debit=bank_account_id(TENANT, "cash", "USD"),
        credit=ledger_account_id(account_id, "USD"),
        money=Money(minor, "USD"),
    )

    async def work(session: AsyncSession) -> None:
        session.add(Account(id=account_id, tenant_id=TENANT, user_uuid="u", name="Rich"))
        await session.flush()
        await ledger.post(session, entry, tenant_id=TENANT)

    await database.transact(work)
    return account_id


async def test_of_many_that_judge_at_once_one_finds_it(database: Database) -> None:
    account_id = await rich(database, 2_000_000)
    activities = SqlMonitoringActivities(database, Steps(database))
    request = MonitoringRequest(account_uuid=account_id)
    calls = [
        StepCall(saga("transaction_monitoring"), "judge", 0, utc_now(), request) for _ in range(6)
    ]

    judged = await asyncio.gather(*(activities.judge_postings(call) for call in calls))

    assert sorted(one.violations for one in judged) == [0, 0, 0, 0, 0, 1]
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Violation)) == 1


async def test_a_report_reads_whole_entries_of_its_tenant_and_period(database: Database) -> None:
    account_id = await rich(database, 500)
    now = utc_now()

    async with database.read() as session:
        [entry] = await reports.entries_between(session, TENANT, now - MINUTE, now + MINUTE)
        assert await reports.count_entries(session, TENANT, now - MINUTE, now + MINUTE) == 1
        assert await reports.entries_between(session, "ten_other", now - MINUTE, now + MINUTE) == []
        assert await reports.entries_between(session, TENANT, now + MINUTE, now + 2 * MINUTE) == []

    assert set(entry.legs) == {
        Leg(account_id, "USD", -1, 500),
        Leg(f"{TENANT}:cash", "USD", 1, 500),
    }


async def test_who_is_in_a_read_only_window(database: Database) -> None:
    now = utc_now()

    async def until(tenant_id: str) -> Any:
        async with database.read() as session:
            return await maintenance.read_only_until(session, tenant_id, now=now)

    async def hold(ends_in: timedelta, **asked: Any) -> str:
        wanted: dict[str, Any] = {"id": new_uuid(), "read_only": True} | asked
        request = MaintenanceWindowRequest(**wanted)
        window = Window(now - MINUTE, now + ends_in)

        async def work(session: AsyncSession) -> None:
            info = saga("maintenance_window")
            row = await maintenance.create(session, info, request, window, {})
            row.status, row.actual_start = "active", now

        await database.transact(work)
        return request.maintenance_id

    await hold(5 * MINUTE, read_only=False)
    await hold(-timedelta(seconds=1))
    assert await until(TENANT) is None

    await hold(5 * MINUTE)
    longest = await hold(7 * MINUTE)
    assert await until(TENANT) == now + 7 * MINUTE
    assert await until("ten_other") is None

    await hold(6 * MINUTE, everywhere=True)
    assert await until("ten_other") == now + 6 * MINUTE

    await database.transact(
        lambda session: maintenance.change(session, longest, status="ended", actual_end=now)
    )
    assert await until(TENANT) == now + 6 * MINUTE


async def test_an_edge_is_told_once_and_an_incident_ends_where_it_began(
    database: Database,
) -> None:
    first = Measured("relay", "degraded", "slow", utc_now())

    async def change(status: Status) -> Any:
        now = replace(first, status=status)
        return await database.transact(
            lambda session: statuses.change(session, "m", now, overall=status)
        )

    assert await change("operational") is None
    began = await change("degraded")
    assert await change("degraded") is None
    worse = await change("down")
    over = await change("operational")
    again = await change("degraded")

    assert began.incident_id == worse.incident_id == over.incident_id != again.incident_id
    assert (worse.previous_status, over.previous_status) == ("degraded", "down")

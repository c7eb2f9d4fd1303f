"""Status monitor: an edge is told once, and what belongs together has one incident."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.status import ProbingStatusActivities
from activities.steps import Steps
from domain.catalogue import EVENT_TYPES
from domain.ids import new_id, new_uuid
from domain.saga import SagaInfo, StepCall
from domain.status import Component, Measured, StatusLook, StatusMonitorRequest
from runtime.database import Database
from storage.outbox import publish
from storage.tables import Endpoint
from storage.types import utc_now
from tests.conftest import TENANT
from tests.workflows.sagas.bank import Bank, until

CHANGED = "system.status_change"


def monitor(*components: Component, **changed: Any) -> StatusMonitorRequest:
    wanted: dict[str, Any] = {"id": new_uuid(), "components": components, "every_s": 0.1}
    return StatusMonitorRequest(**wanted | changed)


async def test_a_component_that_stays_slow_is_told_of_once(bank: Bank) -> None:
    slow = monitor("database", "relay", degraded_after_ms={"database": 0}, rounds=5)

    ended = await bank.run("status_monitor", slow)

    assert ended.state == "completed"
    told = ended.told(CHANGED)
    assert (told["component"], told["previous_status"]) == ("database", "operational")
    assert (told["new_status"], told["overall_status"]) == ("degraded", "degraded")
    assert told["incident_id"].startswith("inc_")
    assert "ms to answer" in told["reason"]
    assert ended.result["statuses"] == {"database": "degraded", "relay": "operational"}


async def test_when_all_is_well_nothing_is_told(bank: Bank) -> None:
    patient = {"database": 60_000, "engine": 60_000}
    ended = await bank.run(
        "status_monitor",
        monitor("database", "engine", "relay", degraded_after_ms=patient, rounds=3),
    )

    assert ended.types == ["workflow.started", "workflow.completed"]
    assert set(ended.result["statuses"].values()) == {"operational"}


async def test_an_incident_lasts_until_all_is_well_again(bank: Bank) -> None:
    await publish_to_nobody(bank)
    watch = monitor("relay", degraded_after_ms={"relay": 1})
    handle = await bank.start("status_monitor", watch)

    async def told(times: int) -> bool:
        return len((await bank.outcome(handle.id)).told_all(CHANGED)) >= times

    await until(lambda: told(1))
    await bank.database.transact(settle)
    await until(lambda: told(2))
    await publish_to_nobody(bank)
    await until(lambda: told(3))
    await handle.cancel()
    ended = await bank.end_of(handle)

    assert ended.state == "cancelled"
    edges = ended.told_all(CHANGED)
    assert [(one["previous_status"], one["new_status"]) for one in edges] == [
        ("operational", "degraded"),
        ("degraded", "operational"),
        ("operational", "degraded"),
    ]
    first, over, second = (one["incident_id"] for one in edges)
    assert first == over != second
    await bank.database.transact(settle)


async def test_a_database_that_does_not_answer_is_down_and_of_the_relay_nothing_is_known(
    temporal: Client, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def nothing() -> AsyncIterator[AsyncSession]:
        raise OperationalError("SELECT 1", {}, Exception("it is away"))
        yield

    monkeypatch.setattr(sqlite, "read", nothing)

    [measured] = await ask(temporal, sqlite, "database", "relay")

    assert (measured.component, measured.status) == ("database", "down")


async def ask(
    temporal: Client, database: Database, *components: Component, root: str = ""
) -> list[Measured]:
    """What the components of this installation say, with its API at `root`."""
    activities = ProbingStatusActivities(database, Steps(database), lambda path: root + path)
    info = SagaInfo("status_monitor/m", "r", "status_monitor", TENANT, "key", (), utc_now())
    patient = dict.fromkeys(components, 60_000)
    look = StatusLook(monitor(*components, degraded_after_ms=patient), late_ms=0)
    call = StepCall(info, "ask", 0, utc_now(), look)
    return await ActivityEnvironment(client=temporal).run(activities.ask_components, call)


async def publish_to_nobody(bank: Bank) -> None:
    """An event for an endpoint, which no relay takes."""
    event = EVENT_TYPES["yield.harvested"].example()

    async def work(session: AsyncSession) -> None:
        endpoint = Endpoint(
            id=new_id("ep"), tenant_id=TENANT, url="https://a.example/", event_types=["yield.*"]
        )
        session.add(endpoint)
        await session.flush()
        await publish(session, TENANT, [(event, None)], now=utc_now())

    await bank.database.transact(work)


async def settle(session: AsyncSession) -> None:
    await session.execute(text("UPDATE deliveries SET state = 'cancelled'"))

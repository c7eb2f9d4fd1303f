"""Maintenance window: what is told to begin is told to end, however it ends."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from domain.ids import new_uuid
from domain.maintenance import MaintenanceWindowRequest
from storage.access_tables import ApiKey, Tenant
from storage.maintenance import read_only_until
from storage.maintenance_tables import MaintenanceWindow
from storage.tables import Event
from storage.types import utc_now
from tests.conftest import TENANT
from tests.workflows.sagas.bank import Bank


def a_window(**changed: Any) -> MaintenanceWindowRequest:
    wanted: dict[str, Any] = {"id": new_uuid(), "lasts_s": 1} | changed
    return MaintenanceWindowRequest(**wanted)


async def is_read_only(bank: Bank, tenant_id: str = TENANT) -> bool:
    async with bank.database.read() as session:
        return await read_only_until(session, tenant_id, now=utc_now()) is not None


async def test_it_is_told_when_it_begins_and_when_it_is_over(bank: Bank) -> None:
    ended = await bank.run(
        "maintenance_window",
        a_window(affected_services=("api", "database"), impact="major"),
        title="Database upgrade",
        description="Nothing moves.",
    )

    assert ended.state == "completed"
    start, end = ended.told("system.maintenance_start"), ended.told("system.maintenance_end")
    assert (start["title"], start["description"]) == ("Database upgrade", "Nothing moves.")
    assert (start["impact"], start["affected_services"]) == ("major", ["api", "database"])
    assert end.items() >= start.items()
    assert end["duration_seconds"] >= 1
    assert ended.types.index("system.maintenance_start") < ended.types.index(
        "system.maintenance_end"
    )


async def test_it_is_read_only_while_it_lasts_and_only_where_asked(bank: Bank) -> None:
    quiet = await bank.start("maintenance_window", a_window(lasts_s=600))
    loud = a_window(lasts_s=600, read_only=True)
    await bank.until_state(MaintenanceWindow, f"mnt_{quiet.id.partition('/')[2]}", "active")
    assert not await is_read_only(bank)

    handle = await bank.start("maintenance_window", loud)
    await bank.until_state(MaintenanceWindow, loud.maintenance_id, "active")
    assert await is_read_only(bank)
    assert not await is_read_only(bank, "ten_somebody_else")

    await handle.cancel()
    await quiet.cancel()
    ended = await bank.end_of(handle)
    assert not await is_read_only(bank)
    assert ended.state == "cancelled"
    assert ended.told("system.maintenance_end")["maintenance_id"] == loud.maintenance_id
    undone = ended.told("workflow.compensation_executed")["compensations"]
    assert [(one["action"], one["status"]) for one in undone] == [
        ("break_off_maintenance", "executed"),
        ("call_off_maintenance", "noop"),
    ]
    await bank.end_of(quiet)


async def test_called_off_before_it_begins_nobody_is_told_of_it(bank: Bank) -> None:
    window = a_window(starts_at=utc_now() + timedelta(days=30))
    handle = await bank.start("maintenance_window", window)
    await bank.until_state(MaintenanceWindow, window.maintenance_id, "scheduled")
    await handle.cancel()

    ended = await bank.end_of(handle)

    assert ended.state == "cancelled"
    assert not [type for type in ended.types if type.startswith("system.")]
    row = await bank.row(MaintenanceWindow, window.maintenance_id)
    assert (row.status, row.actual_start) == ("called_off", None)


async def test_a_window_that_is_over_is_refused(bank: Bank) -> None:
    ended = await bank.run(
        "maintenance_window", a_window(starts_at=utc_now() - timedelta(seconds=2))
    )

    assert ended.code == "window_over"


async def test_a_window_that_nobody_ended_does_not_keep_the_api_read_only(bank: Bank) -> None:
    """No worker ran when it was to end."""
    window = a_window(lasts_s=600, read_only=True)
    handle = await bank.start("maintenance_window", window)
    await bank.until_state(MaintenanceWindow, window.maintenance_id, "active")

    past = utc_now() - timedelta(seconds=1)
    await bank.change(MaintenanceWindow, window.maintenance_id, scheduled_end=past)

    assert not await is_read_only(bank)
    await handle.cancel()
    await bank.end_of(handle)


async def test_maintenance_everywhere_takes_a_key_that_may(bank: Bank) -> None:
    refused = await bank.run("maintenance_window", a_window(everywhere=True, read_only=True))
    assert refused.code == "not_allowed"
    await bank.add(
        Tenant(id="ten_neighbour", name="neighbour"),
        ApiKey(
            id="key_test",
            tenant_id=TENANT,
            name="operator",
            prefix="sp_live",
            last4="0000",
            digest=b"",
            scopes=["*", "tenants.manage"],
        ),
    )

    window = a_window(everywhere=True)
    assert (await bank.run("maintenance_window", window)).state == "completed"

    async with bank.database.read() as session:
        query = select(Event).where(col(Event.tenant_id) == "ten_neighbour").order_by(col(Event.id))
        events = (await session.scalars(query)).all()
    assert [event.type for event in events] == [
        "system.maintenance_start",
        "system.maintenance_end",
    ]
    assert [event.workflow_id for event in events] == [None, None]

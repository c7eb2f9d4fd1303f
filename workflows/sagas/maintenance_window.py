"""Maintenance window: told when it begins and when it is over; in between writes may be refused.

    schedule ──► (until it begins) ──► start ──► (while it lasts) ──► end ★
       │                │                │              │
    call off ◄───── cancelled       break off ◄───── cancelled

Two timers, however long it is until then. A cancel ends it early: what was told to begin is told
to end.
"""

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow

from activities.ports import MaintenanceActivities
from domain.maintenance import MaintenanceWindowRequest
from workflows.saga import Saga
from workflows.steps import Step

SCHEDULE = Step(
    MaintenanceActivities.schedule_maintenance,
    compensation=MaintenanceActivities.call_off_maintenance,
)
START = Step(
    MaintenanceActivities.start_maintenance,
    compensation=MaintenanceActivities.break_off_maintenance,
)
END = Step(MaintenanceActivities.end_maintenance)

STEPS = (SCHEDULE, START, END)
EXAMPLE = MaintenanceWindowRequest(lasts_s=1, read_only=True)


@workflow.defn(name="maintenance_window")
class MaintenanceWindow:
    @workflow.run
    async def run(self, request: MaintenanceWindowRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("maintenance", request.maintenance_id)) as saga:
            window = await saga.run(SCHEDULE, request)
            await _wait(saga, window.starts_at, "until it begins")
            await saga.run(START, request)
            await _wait(saga, window.ends_at, "while it lasts")
            await saga.pivot(END, request)
            saga.result = {"maintenance_id": request.maintenance_id}
        return saga.result


async def _wait(saga: Saga, moment: datetime, summary: str) -> None:
    left = moment - workflow.now()
    if left > timedelta():  # The engine takes a second over a timer of no length.
        await saga.sleep(left, summary=summary)

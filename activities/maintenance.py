"""Hold maintenance: the window's row, which every API process reads, and who is told of it."""

from temporalio import activity

from activities.menu.maintenance import Call
from activities.ports import MaintenanceActivities
from activities.steps import Steps, Unit
from domain.maintenance import EVERYWHERE_TAKES, MaintenanceRefused, Window, window_of
from domain.saga import NOTHING_TO_UNDO, Undone, UndoStatus
from storage import maintenance
from storage.kept import kept
from storage.keys import find_key, is_live
from storage.maintenance_tables import MaintenanceWindow
from storage.types import utc_now


class SqlMaintenanceActivities(MaintenanceActivities):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @activity.defn
    async def schedule_maintenance(self, call: Call) -> Window:
        return await self._steps.perform(call, _schedule)

    @activity.defn
    async def call_off_maintenance(self, call: Call) -> Undone:
        return await self._steps.undo(call, _call_off)

    @activity.defn
    async def start_maintenance(self, call: Call) -> None:
        await self._steps.perform(call, _start)

    @activity.defn
    async def break_off_maintenance(self, call: Call) -> Undone:
        return await self._steps.undo(call, _break_off)

    @activity.defn
    async def end_maintenance(self, call: Call) -> None:
        await self._steps.perform(call, _end)


async def _schedule(unit: Unit, call: Call) -> Window:
    if call.request.everywhere:
        await _check_allowed(unit, call.saga.initiated_by)
    window = window_of(call.request, utc_now())
    said = await kept(unit.session, call.saga.workflow_id)
    await maintenance.create(unit.session, call.saga, call.request, window, said)
    return window


async def _check_allowed(unit: Unit, key_id: str) -> None:
    """By whichever route it was asked for: nobody stops other tenants' writes unless he may."""
    key = await find_key(unit.session, key_id)
    if key is None or not is_live(key, utc_now()) or EVERYWHERE_TAKES not in key.scopes:
        text = f"maintenance everywhere takes a key with the scope {EVERYWHERE_TAKES}"
        raise MaintenanceRefused("not_allowed", text)


async def _call_off(unit: Unit, call: Call) -> Undone:
    row = await unit.session.get_one(MaintenanceWindow, call.request.maintenance_id)
    if row.status != "scheduled":
        return NOTHING_TO_UNDO  # It was; its end has been told.
    await maintenance.change(unit.session, row.id, status="called_off")
    return Undone(UndoStatus.EXECUTED)


async def _start(unit: Unit, call: Call) -> None:
    now = utc_now()
    row = await maintenance.change(
        unit.session, call.request.maintenance_id, status="active", actual_start=now
    )
    data = maintenance.told(row, "start")
    unit.tell(data)
    await maintenance.tell_others(unit.session, row, data, now=now)


async def _break_off(unit: Unit, call: Call) -> Undone:
    await _end(unit, call)
    return Undone(UndoStatus.EXECUTED)


async def _end(unit: Unit, call: Call) -> None:
    now = utc_now()
    row = await maintenance.change(
        unit.session, call.request.maintenance_id, status="ended", actual_end=now
    )
    data = maintenance.told(row, "end")
    unit.tell(data)
    await maintenance.tell_others(unit.session, row, data, now=now)

"""Watch positions: look at their health, and warn."""

from temporalio import activity

from activities.connectors.defi import DefiProtocol
from activities.ports import PositionWatchActivities
from activities.steps import Steps, Unit
from domain.errors import PositionHasNoDebt
from domain.position_watch import Look, PositionHealth, Unhealthy, liquidation_warning
from domain.saga import StepCall
from domain.sandbox import Faults
from runtime.database import Database
from storage import positions


class ConnectedWatchActivities(PositionWatchActivities):
    def __init__(self, database: Database, steps: Steps, protocol: DefiProtocol) -> None:
        self._database = database
        self._steps = steps
        self._protocol = protocol

    @activity.defn
    async def look_at_health(self, call: StepCall[Look]) -> PositionHealth:
        look = call.request
        async with self._database.read() as session:
            row = await positions.find(session, call.saga.tenant_id, look.position_id)
        if row.status in ("closed", "failed"):
            return PositionHealth(open=False)
        if row.debt_asset is None:
            raise PositionHasNoDebt(f"{row.id} cannot be liquidated: nothing was borrowed")
        faults = Faults(slip_percent=look.price_slip_percent)
        return await self._protocol.health(positions.position_of(row), faults)

    @activity.defn
    async def warn_owner(self, call: StepCall[Unhealthy]) -> None:
        await self._steps.perform(call, _warn)


async def _warn(unit: Unit, call: StepCall[Unhealthy]) -> None:
    unit.tell(liquidation_warning(call.request))

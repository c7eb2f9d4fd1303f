"""Send a held transfer over a rail, wait for it to arrive, or call it off."""

from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.connectors.rail import Rail
from activities.ports import RailActivities
from activities.steps import Steps, Unit
from domain.saga import NOTHING_TO_UNDO, StepCall, Undone, UndoStatus
from domain.transfer import QuotedTransfer
from storage import transfers

ASK_AGAIN_AFTER = timedelta(seconds=1)


class ConnectedRailActivities(RailActivities):
    def __init__(self, steps: Steps, rail: Rail) -> None:
        self._steps = steps
        self._rail = rail

    @activity.defn
    async def submit_to_rail(self, call: StepCall[QuotedTransfer]) -> str:
        transfer = call.request.transfer

        async def submit() -> str:
            return await self._rail.submit(call.key, transfer.money, transfer.rail_faults)

        return await self._steps.perform_outside(call, submit, _submitted)

    @activity.defn
    async def recall_from_rail(self, call: StepCall[QuotedTransfer]) -> Undone:
        async def recall() -> Undone:
            if not await self._rail.recall(call.key):
                return NOTHING_TO_UNDO
            money = call.request.transfer.money
            return Undone(UndoStatus.EXECUTED, money.amount_minor, money.asset_code)

        return await self._steps.undo_outside(call, recall, _nothing_here)

    @activity.defn
    async def await_rail(self, call: StepCall[QuotedTransfer]) -> None:
        payment_id = f"{call.saga.workflow_id}/submit_to_rail"
        if not await self._rail.confirmed(payment_id, call.request.transfer.rail_faults):
            raise ApplicationError(
                "the rail has not confirmed yet",
                type="rail_pending",
                next_retry_delay=ASK_AGAIN_AFTER,
                category=ApplicationErrorCategory.BENIGN,
            )
        await self._steps.perform(call, _confirmed)


async def _submitted(unit: Unit, call: StepCall[QuotedTransfer], reference: str) -> str:
    row = await transfers.change(unit.session, call.request.transfer.id, status="pending")
    unit.tell(transfers.told(row, "pending", step=call.step, reason="rail"))
    return reference


async def _confirmed(unit: Unit, call: StepCall[QuotedTransfer]) -> None:
    """The rail's word is all there is to it: the step's event tells it."""


async def _nothing_here(unit: Unit, call: StepCall[QuotedTransfer]) -> Undone:
    return NOTHING_TO_UNDO

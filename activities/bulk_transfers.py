"""Record bulk transfers: the list, its items, and what came of them."""

from temporalio import activity

from activities.ports import BulkTransferActivities
from activities.steps import Steps, Unit
from domain.bulk_transfer import BulkOutcome, BulkTransferRequest
from domain.errors import NothingCompleted
from domain.saga import NOTHING_TO_UNDO, StepCall, Undone
from storage import bulk_transfers
from storage.kept import kept


class SqlBulkTransferActivities(BulkTransferActivities):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @activity.defn
    async def open_bulk(self, call: StepCall[BulkTransferRequest]) -> None:
        await self._steps.perform(call, _open)

    @activity.defn
    async def fail_bulk(self, call: StepCall[BulkTransferRequest]) -> Undone:
        return await self._steps.undo(call, _fail)

    @activity.defn
    async def close_bulk(self, call: StepCall[BulkOutcome]) -> None:
        await self._steps.perform(call, _close)


async def _open(unit: Unit, call: StepCall[BulkTransferRequest]) -> None:
    said = await kept(unit.session, call.saga.workflow_id)
    references = said.get("references", [])
    await bulk_transfers.open_bulk(unit.session, call.saga, call.request, references)


async def _fail(unit: Unit, call: StepCall[BulkTransferRequest]) -> Undone:
    failure = call.failure
    assert failure is not None, "a compensation knows why"
    why = {"step": failure.step, "code": failure.code, "text": failure.text}
    await bulk_transfers.end_bulk(
        unit.session, call.request.id, status="failed", failure=why, completed_items=0
    )
    await bulk_transfers.fail_items_left(unit.session, call.request, why)
    return NOTHING_TO_UNDO


async def _close(unit: Unit, call: StepCall[BulkOutcome]) -> None:
    outcome = call.request
    first = next((code for code in outcome.failures if code is not None), None)
    if first is not None and not outcome.completed:
        raise NothingCompleted(first, items=len(outcome.failures))
    await bulk_transfers.end_bulk(
        unit.session, outcome.bulk.id, status="completed", completed_items=outcome.completed
    )

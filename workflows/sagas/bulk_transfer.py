"""Bulk transfer: one account pays many, each by a transfer of its own.

    open ──► transfer 1 … n (sagas, some at once) ──► close ★
      │              │                                  │
     fail ◄── reverse transfer 1 … n ◄────────────── refused, cancelled

All or nothing: when one fails, those under way turn back and those that are done are reversed.
Best effort: what fails has undone itself, and the rest goes on.
"""

from dataclasses import replace
from typing import Any

from temporalio import workflow

from activities.ports import BulkTransferActivities
from domain.bulk_transfer import BulkItem, BulkOutcome, BulkTransferRequest
from workflows.saga import CHILD, Saga
from workflows.steps import Step, named

OPEN = Step(BulkTransferActivities.open_bulk, compensation=BulkTransferActivities.fail_bulk)
TRANSFER = named(CHILD, "transfer")
CLOSE = Step(BulkTransferActivities.close_bulk)

STEPS = (OPEN, TRANSFER, CLOSE)
EXAMPLE = BulkTransferRequest(
    from_account="0199c5a2-0000-7000-8000-000000000001",
    items=(
        BulkItem(to_account="0199c5a2-0000-7000-8000-000000000002", amount="50.00"),
        BulkItem(to_account="0199c5a2-0000-7000-8000-000000000003", amount="25.00"),
    ),
)
EXAMPLES = (replace(EXAMPLE, policy="best_effort"),)
BEARS_FAILED_CHILDREN = EXAMPLES


@workflow.defn(name="bulk_transfer")
class BulkTransfer:
    @workflow.init
    def __init__(self, request: BulkTransferRequest) -> None:
        self._items = dict.fromkeys(request.transfer_ids, "waiting")

    @workflow.query
    def items(self) -> dict[str, Any]:
        """How far each is, by the transfer's id: waiting, running, completed, or why it failed."""
        states = list(self._items.values())
        return {
            "total": len(states),
            "completed": states.count("completed"),
            "items": self._items,
        }

    @workflow.run
    async def run(self, request: BulkTransferRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("bulk_transfer", request.id)) as saga:
            await saga.run(OPEN, request)
            numbers = range(1, len(request.items) + 1)
            payments = (self._pay(saga, request, number) for number in numbers)
            failures = await saga.together(*payments, at_once=request.at_once)
            outcome = BulkOutcome(request, tuple(failures))
            await saga.pivot(CLOSE, outcome)
            failed = len(failures) - outcome.completed
            saga.result = {"completed": outcome.completed, "failed": failed, "items": self._items}
        return saga.result

    async def _pay(self, saga: Saga, request: BulkTransferRequest, number: int) -> str | None:
        """Make one transfer. None, or why it failed where the others go on."""
        transfer, undo = request.transfer(number), ("reverse_transfer", request.reversal(number))
        name, failure = f"transfer-{number}", None
        self._items[transfer.id] = "running"
        if request.policy == "all_or_nothing":
            await saga.child("transfer", transfer, step=TRANSFER, name=name, undo=undo)
        else:
            ended = await saga.try_child("transfer", transfer, step=TRANSFER, name=name, undo=undo)
            failure = ended.failure.code if ended.failure else None
        self._items[transfer.id] = failure or "completed"
        return failure

"""Transfer: money from one account to another, inside the bank or over a rail.

    open ──► hold ──► [submit ──► await] ──► settle ★ ──► fee
      │        │         │                     │
     fail ◄─ release ◄─ recall ◄──────────── refused, expired, cancelled

Settling is the pivot: before it nothing has left the source but a hold; after it the transfer is
done, and the fee follows however long that takes.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow

from activities.ports import RailActivities, TransferActivities
from domain.transfer import QuotedTransfer, TransferRequest
from workflows.saga import Saga
from workflows.steps import Step

OPEN = Step(TransferActivities.open_transfer, compensation=TransferActivities.fail_transfer)
HOLD = Step(TransferActivities.hold_source, compensation=TransferActivities.release_source)
SUBMIT = Step(
    RailActivities.submit_to_rail,
    compensation=RailActivities.recall_from_rail,
    outside=True,
    undo_first=True,  # While it is not known to be recalled, the hold stays.
    attempts_max=5,
)
AWAIT = Step(RailActivities.await_rail, outside=True)
SETTLE = Step(TransferActivities.settle_transfer)
FEE = Step(TransferActivities.post_fee)

STEPS = (OPEN, HOLD, SUBMIT, AWAIT, SETTLE, FEE)
EXAMPLE = TransferRequest(
    from_account="0199c5a2-0000-7000-8000-000000000001",
    to_account="0199c5a2-0000-7000-8000-000000000002",
    amount="50.00",
    asset_code="USD",
)


@workflow.defn(name="transfer")
class Transfer:
    @workflow.run
    async def run(self, transfer: TransferRequest) -> dict[str, Any]:
        window = timedelta(seconds=transfer.expires_in_s) if transfer.expires_in_s else None
        planned = STEPS if transfer.rail != "internal" else (OPEN, HOLD, SETTLE, FEE)
        async with Saga(planned, subject=("transfer", transfer.id), deadline=window) as saga:
            quote = await saga.run(OPEN, transfer)
            quoted = QuotedTransfer(transfer, quote.fee_minor)
            await saga.run(HOLD, quoted)
            if transfer.rail != "internal":
                await saga.run(SUBMIT, quoted)
                await saga.run(AWAIT, quoted)
            await saga.pivot(SETTLE, quoted)
            if quoted.fee_minor:
                await saga.run(FEE, quoted)
            saga.result = {"transfer_uuid": transfer.id, "fee_minor": quoted.fee_minor}
        return saga.result

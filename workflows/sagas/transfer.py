"""Transfer: money from one account to another, inside the bank or over a rail.

    open ──► [check, clear] ──► hold ──► [approval] ──► [submit, await] ──► settle ★ ──► fee
      │            │              │          │                │                │
     fail ◄────────┴────────── release ◄─────┴───────────── recall ◄───────────┘
                             (refused, expired, cancelled)

From a jurisdiction's threshold on, the travel rule is checked first, by a saga of its own. Settling
is the pivot: before it nothing has left the source but a hold; after it the transfer is done, and
the fee follows however long that takes.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow

from activities.ports import RailActivities, TransferActivities
from domain.transfer import ComplianceOutcome, QuotedTransfer, TransferRequest
from workflows.saga import Saga
from workflows.steps import Step

OPEN = Step(TransferActivities.open_transfer, compensation=TransferActivities.fail_transfer)
CLEAR = Step(TransferActivities.clear_transfer)
HOLD = Step(TransferActivities.hold_source, compensation=TransferActivities.release_source)
APPROVAL = Step(TransferActivities.ask_approval)
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

STEPS = (OPEN, CLEAR, HOLD, APPROVAL, SUBMIT, AWAIT, SETTLE, FEE)
EXAMPLE = TransferRequest(
    from_account="0199c5a2-0000-7000-8000-000000000001",
    to_account="0199c5a2-0000-7000-8000-000000000002",
    amount="50.00",
    asset_code="USD",
)
# Large and abroad: checked, approved by a person, and sent over a rail.
EXAMPLES = (replace(EXAMPLE, amount="4200.00", rail="sandbox", requires_approval=True),)


@workflow.defn(name="transfer")
class Transfer:
    @workflow.run
    async def run(self, transfer: TransferRequest) -> dict[str, Any]:
        window = timedelta(seconds=transfer.expires_in_s) if transfer.expires_in_s else None
        subject = ("transfer", transfer.id)
        async with Saga(_planned(transfer), subject=subject, deadline=window) as saga:
            quote = await saga.run(OPEN, transfer)
            quoted = QuotedTransfer(transfer, quote.fee_minor)
            if transfer.needs_travel_rule_check:
                await saga.run(CLEAR, await _check(saga, transfer))
            await saga.run(HOLD, quoted)
            if quote.needs_approval:
                await saga.run(APPROVAL, quoted)
                await saga.approval(
                    "transfer", within=timedelta(seconds=transfer.approval_within_s)
                )
            if not transfer.is_internal:
                await saga.run(SUBMIT, quoted)
                await saga.run(AWAIT, quoted)
            await saga.pivot(SETTLE, quoted)
            if quoted.fee_minor:
                await saga.run(FEE, quoted)
            saga.result = {"transfer_uuid": transfer.id, "fee_minor": quoted.fee_minor}
        return saga.result


def _planned(transfer: TransferRequest) -> list[Step[Any, Any]]:
    """What is known beforehand. An account's limits can ask for an approval, too."""
    left_out: list[Step[Any, Any]] = []
    if not transfer.needs_travel_rule_check:
        left_out.append(CLEAR)
    if not transfer.requires_approval:
        left_out.append(APPROVAL)
    if transfer.is_internal:
        left_out += (SUBMIT, AWAIT)
    return [step for step in STEPS if step not in left_out]


async def _check(saga: Saga, transfer: TransferRequest) -> ComplianceOutcome:
    answer = await saga.ask("travel_rule_check", transfer.travel_rule_check)
    if answer.failure is not None:
        return ComplianceOutcome(transfer, answer.failure.code, answer.failure.text)
    issues = tuple(answer.result["issues"])
    text = f"the travel rule does not allow it: {', '.join(issues)}"
    return ComplianceOutcome(transfer, answer.result["refusal"], text, issues)

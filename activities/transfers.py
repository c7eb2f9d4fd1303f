"""A transfer's life in the books: opened, held, settled, charged; or failed and given back."""

from datetime import timedelta
from typing import Any

from temporalio import activity

from activities import books, limits
from activities.ports import TransferActivities
from activities.steps import Steps, Unit
from domain.account_limits import needs_approval
from domain.catalogue import EventData
from domain.errors import ComplianceRejected
from domain.ledger import bank_account_id, ledger_account_id, move
from domain.money import Money, minor_to_decimal
from domain.saga import NOTHING_TO_UNDO, SagaState, StepCall, Undone, UndoStatus
from domain.story import error_details
from domain.transfer import (
    ComplianceOutcome,
    QuotedTransfer,
    TransferQuote,
    TransferRequest,
    transfer_fee,
)
from storage import accounts, ledger, transfers
from storage.ledger_tables import Account
from storage.tables import Transfer
from storage.types import utc_now

INTERNAL_TAKES = timedelta(seconds=5)
RAIL_TAKES = timedelta(hours=24)


class SqlTransferActivities(TransferActivities):
    def __init__(self, steps: Steps, *, fee_basis_points: int) -> None:
        self._steps = steps
        self._fee_basis_points = fee_basis_points

    @activity.defn
    async def open_transfer(self, call: StepCall[TransferRequest]) -> TransferQuote:
        return await self._steps.perform(call, self._open)

    @activity.defn
    async def fail_transfer(self, call: StepCall[TransferRequest]) -> Undone:
        return await self._steps.undo(call, _fail)

    @activity.defn
    async def clear_transfer(self, call: StepCall[ComplianceOutcome]) -> None:
        await self._steps.perform(call, _clear)

    @activity.defn
    async def hold_source(self, call: StepCall[QuotedTransfer]) -> None:
        await self._steps.perform(call, _hold)

    @activity.defn
    async def release_source(self, call: StepCall[QuotedTransfer]) -> Undone:
        return await self._steps.undo(call, _release)

    @activity.defn
    async def ask_approval(self, call: StepCall[QuotedTransfer]) -> None:
        await self._steps.perform(call, _ask_approval)

    @activity.defn
    async def settle_transfer(self, call: StepCall[QuotedTransfer]) -> None:
        await self._steps.perform(call, _settle)

    @activity.defn
    async def post_fee(self, call: StepCall[QuotedTransfer]) -> None:
        await self._steps.perform(call, _post_fee)

    async def _open(self, unit: Unit, call: StepCall[TransferRequest]) -> TransferQuote:
        request = call.request
        fee_minor = transfer_fee(request.money, basis_points=self._fee_basis_points)
        row = await transfers.open_transfer(unit.session, call.saga, request, fee_minor=fee_minor)
        takes = INTERNAL_TAKES if request.is_internal else RAIL_TAKES
        unit.tell(transfers.told(row, "created", estimated_completion=utc_now() + takes))
        source = await accounts.find(unit.session, call.saga.tenant_id, request.from_account)
        by_limit = source is not None and _is_large(source, request)
        return TransferQuote(fee_minor, needs_approval=request.requires_approval or by_limit)


def _is_large(source: Account, request: TransferRequest) -> bool:
    return needs_approval(limits.limits_of(source, request.asset_code), request.money)


async def _clear(unit: Unit, call: StepCall[ComplianceOutcome]) -> None:
    outcome = call.request
    if outcome.refusal is not None:
        issues = list(outcome.issues)
        raise ComplianceRejected(outcome.refusal, outcome.text, issues=issues)


async def _hold(unit: Unit, call: StepCall[QuotedTransfer]) -> None:
    quoted = call.request
    transfer = quoted.transfer
    source, _ = await _check_both(unit, call)
    await books.place_hold(
        unit, transfer.hold_id, transfer.from_account, transfer.money, related=transfer.id
    )
    await limits.check(unit.session, source, transfer.money)
    if quoted.fee_minor:
        await books.place_hold(
            unit, transfer.fee_hold_id, transfer.from_account, quoted.fee, related=transfer.id
        )
    await transfers.change(unit.session, transfer.id, status="held")


async def _check_both(unit: Unit, call: StepCall[QuotedTransfer]) -> list[Account]:
    transfer = call.request.transfer
    both = [transfer.from_account, transfer.to_account]
    return await ledger.check_accounts(unit.session, call.saga.tenant_id, both)


async def _ask_approval(unit: Unit, call: StepCall[QuotedTransfer]) -> None:
    row = await transfers.change(unit.session, call.request.transfer.id, status="pending")
    unit.tell(transfers.told(row, "pending", step=call.step, reason="approval"))


async def _release(unit: Unit, call: StepCall[QuotedTransfer]) -> Undone:
    quoted = call.request
    transfer = quoted.transfer
    for hold_id in (transfer.hold_id, transfer.fee_hold_id)[: 2 if quoted.fee_minor else 1]:
        await books.release_hold(
            unit, hold_id, transfer.from_account, transfer.asset_code, related=transfer.id
        )
    released = transfer.money.amount_minor + quoted.fee_minor
    return Undone(UndoStatus.EXECUTED, released, transfer.asset_code)


async def _settle(unit: Unit, call: StepCall[QuotedTransfer]) -> None:
    """Refused if an account was frozen or closed since: but what a rail has moved has moved."""
    transfer = call.request.transfer
    if transfer.is_internal:
        await _check_both(unit, call)
    entry = move(
        f"{transfer.id}/settle",
        "transfer",
        debit=ledger_account_id(transfer.from_account, transfer.asset_code),
        credit=ledger_account_id(transfer.to_account, transfer.asset_code),
        money=transfer.money,
    )
    reasons = {
        transfer.from_account: "outgoing_transfer",
        transfer.to_account: "incoming_transfer",
    }
    await books.post(unit, entry, reasons, related=transfer.id, hold_id=transfer.hold_id)
    row = await transfers.change(
        unit.session, transfer.id, status="completed", completed_at=utc_now()
    )
    unit.tell(transfers.told(row, "completed", completed_at=row.completed_at))


async def _post_fee(unit: Unit, call: StepCall[QuotedTransfer]) -> None:
    quoted = call.request
    transfer = quoted.transfer
    entry = move(
        f"{transfer.id}/fee",
        "fee",
        debit=ledger_account_id(transfer.from_account, transfer.asset_code),
        credit=bank_account_id(call.saga.tenant_id, "fees", transfer.asset_code),
        money=quoted.fee,
    )
    await books.post(
        unit,
        entry,
        {transfer.from_account: "fee"},
        related=transfer.id,
        hold_id=transfer.fee_hold_id,
    )


async def _fail(unit: Unit, call: StepCall[TransferRequest]) -> Undone:
    failure = call.failure
    assert failure is not None, "a compensation knows why"
    expired = failure.outcome is SagaState.TIMED_OUT
    status = "expired" if expired else "failed"
    row = await transfers.change(
        unit.session,
        call.request.id,
        status=status,
        failure={"step": failure.step, "code": failure.code, "text": failure.text},
    )
    held = await transfers.was_held(unit.session, call.saga.workflow_id)
    unit.tell(_expired(row, call, held) if expired else _failed(row, call))
    return NOTHING_TO_UNDO


def _failed(row: Transfer, call: StepCall[TransferRequest]) -> EventData:
    assert call.failure is not None
    return transfers.told(
        row,
        "failed",
        failed_step=call.failure.step,
        failure_reason=call.failure.code,
        error_details=error_details(call.failure),
        compensated=True,
        failed_at=utc_now(),
    )


def _expired(row: Transfer, call: StepCall[TransferRequest], held: Any) -> EventData:
    released = Money(row.amount_minor + row.fee_minor if held else 0, row.asset_code)
    return transfers.told(
        row,
        "expired",
        expires_at=call.saga.deadline_at,
        expired_at=utc_now(),
        held_amount_released=minor_to_decimal(released.amount_minor, row.asset_code),
        held_amount_released_minor=released.amount_minor,
    )

"""Pay completed transfers back: hold what the recipient got, then post it and link the two."""

from typing import Any

from temporalio import activity

from activities import books
from activities.ports import ReversalActivities
from activities.steps import Steps, Unit
from domain.errors import TransferNotReversible
from domain.ledger import (
    Direction,
    JournalEntry,
    Posting,
    bank_account_id,
    ledger_account_id,
)
from domain.money import Money
from domain.reversal import REVERSAL_WINDOW, ReverseTransferRequest
from domain.saga import NOTHING_TO_UNDO, SagaState, StepCall, Undone, UndoStatus
from storage import accounts, ledger, reversals, transfers
from storage.kept import kept
from storage.tables import Transfer
from storage.types import utc_now

Call = StepCall[ReverseTransferRequest]


class SqlReversalActivities(ReversalActivities):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @activity.defn
    async def open_reversal(self, call: Call) -> None:
        await self._steps.perform(call, _open)

    @activity.defn
    async def fail_reversal(self, call: Call) -> Undone:
        return await self._steps.undo(call, _fail)

    @activity.defn
    async def hold_received(self, call: Call) -> None:
        await self._steps.perform(call, _hold)

    @activity.defn
    async def release_received(self, call: Call) -> Undone:
        return await self._steps.undo(call, _release)

    @activity.defn
    async def pay_back(self, call: Call) -> dict[str, int | str]:
        return await self._steps.perform(call, _pay_back)


async def _open(unit: Unit, call: Call) -> None:
    original = await reversals.lock_original(unit.session, call.saga.tenant_id, call.request)
    await reversals.open_reversal(unit.session, call.saga, call.request, original)


async def _fail(unit: Unit, call: Call) -> Undone:
    failure = call.failure
    assert failure is not None, "a compensation knows why"
    await transfers.change(
        unit.session,
        call.request.id,
        status="expired" if failure.outcome is SagaState.TIMED_OUT else "failed",
        failure={"step": failure.step, "code": failure.code, "text": failure.text},
    )
    return NOTHING_TO_UNDO


async def _hold(unit: Unit, call: Call) -> None:
    request = call.request
    original = await reversals.lock_original(unit.session, call.saga.tenant_id, request)
    _check_reversible(original)
    await ledger.check_accounts(unit.session, call.saga.tenant_id, [original.to_account])
    await accounts.check_open(unit.session, original.from_account)
    money = _received(original)
    await books.place_hold(unit, request.hold_id, original.to_account, money, related=request.id)
    await transfers.change(unit.session, request.id, status="held")


def _check_reversible(original: Transfer) -> None:
    """Raises TransferNotReversible, with what stands in the way."""
    if original.reversed_by is not None:
        text = f"transfer {original.id} was reversed by {original.reversed_by}"
    elif original.status != "completed" or original.completed_at is None:
        text = f"transfer {original.id} is {original.status}, not completed"
    elif utc_now() - original.completed_at > REVERSAL_WINDOW:
        text = f"transfer {original.id} completed more than {REVERSAL_WINDOW.days} days ago"
    else:
        return
    raise TransferNotReversible(text, transfer_uuid=original.id, status=original.status)


async def _release(unit: Unit, call: Call) -> Undone:
    request = call.request
    original = await reversals.lock_original(unit.session, call.saga.tenant_id, request)
    money = _received(original)
    await books.release_hold(
        unit, request.hold_id, original.to_account, money.asset_code, related=request.id
    )
    return Undone(UndoStatus.EXECUTED, money.amount_minor, money.asset_code)


async def _pay_back(unit: Unit, call: Call) -> dict[str, int | str]:
    """Post and link in one commit: there is no moment in which only one of them is true."""
    request, saga = call.request, call.saga
    original = await reversals.lock_original(unit.session, saga.tenant_id, request)
    _check_reversible(original)
    reasons = dict.fromkeys((original.from_account, original.to_account), "reversal")
    entry = _entry(call, original)
    await books.post(unit, entry, reasons, related=request.id, hold_id=request.hold_id)
    now = utc_now()
    await transfers.change(unit.session, request.id, status="completed", completed_at=now)
    await transfers.change(unit.session, original.id, status="reversed", reversed_by=request.id)
    unit.tell(transfers.told(original, "reversed", **await _facts(unit, call, original)))
    return {"amount_minor": original.amount_minor, "asset_code": original.asset_code}


async def _facts(unit: Unit, call: Call, original: Transfer) -> dict[str, Any]:
    said = await kept(unit.session, call.saga.workflow_id)
    return {
        "original_transfer_uuid": original.id,
        "reversal_transfer_uuid": call.request.id,
        "reversal_reason": said.get("reason") or call.request.reason_code,
        "authorized_by": said.get("authorized_by") or call.saga.initiated_by,
        "reversed_at": utc_now(),
    }


def _entry(call: Call, original: Transfer) -> JournalEntry:
    """The recipient pays the amount back, and the bank its fee where that is wanted."""
    asset_code = original.asset_code
    sender = ledger_account_id(original.from_account, asset_code)
    recipient = ledger_account_id(original.to_account, asset_code)
    money, legs = _received(original), []
    if call.request.refund_fee and original.fee_minor:
        fees = bank_account_id(call.saga.tenant_id, "fees", asset_code)
        legs.append(Posting(fees, Direction.DEBIT, Money(original.fee_minor, asset_code)))
    total = sum((leg.money.amount_minor for leg in legs), money.amount_minor)
    legs.append(Posting(recipient, Direction.DEBIT, money))
    legs.append(Posting(sender, Direction.CREDIT, Money(total, asset_code)))
    return JournalEntry(call.key, "reversal", tuple(legs))


def _received(original: Transfer) -> Money:
    return Money(original.amount_minor, original.asset_code)

"""Hold, settle and move customers' money, for any saga."""

from temporalio import activity

from activities import books
from activities.ports import LedgerActivities
from activities.steps import Steps, Unit
from domain.bookings import MoneyHold, MoneyMove, Settlement
from domain.ledger import JournalEntry, ledger_account_id, move
from domain.money import Money
from domain.saga import NOTHING_TO_UNDO, StepCall, Undone, UndoStatus
from storage import ledger


class SqlLedgerActivities(LedgerActivities):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @activity.defn
    async def place_hold(self, call: StepCall[MoneyHold]) -> None:
        await self._steps.perform(call, _place)

    @activity.defn
    async def release_hold(self, call: StepCall[MoneyHold]) -> Undone:
        return await self._steps.undo(call, _release)

    @activity.defn
    async def settle_hold(self, call: StepCall[Settlement]) -> None:
        await self._steps.perform(call, _settle)

    @activity.defn
    async def move_money(self, call: StepCall[MoneyMove]) -> None:
        await self._steps.perform(call, _move)

    @activity.defn
    async def move_money_back(self, call: StepCall[MoneyMove]) -> Undone:
        return await self._steps.undo(call, _move_back)


async def _place(unit: Unit, call: StepCall[MoneyHold]) -> None:
    hold = call.request
    await ledger.check_accounts(unit.session, unit.saga.tenant_id, [hold.account_id])
    await books.place_hold(unit, hold.id, hold.account_id, hold.money, related=_related(unit))


async def _release(unit: Unit, call: StepCall[MoneyHold]) -> Undone:
    hold = call.request
    asset_code = hold.money.asset_code
    released = await books.release_hold(
        unit, hold.id, hold.account_id, asset_code, related=_related(unit)
    )
    if not released:
        return NOTHING_TO_UNDO
    return Undone(UndoStatus.EXECUTED, hold.money.amount_minor, asset_code)


async def _settle(unit: Unit, call: StepCall[Settlement]) -> None:
    hold = call.request.hold
    to_account = call.request.to_account
    await ledger.check_accounts(unit.session, unit.saga.tenant_id, [to_account])
    entry = _between(call.key, hold.account_id, to_account, hold.money)
    await books.post(
        unit, entry, _reasons(hold.account_id, to_account), related=_related(unit), hold_id=hold.id
    )


async def _move(unit: Unit, call: StepCall[MoneyMove]) -> None:
    moved = call.request
    accounts = [moved.from_account, moved.to_account]
    await ledger.check_accounts(unit.session, unit.saga.tenant_id, accounts)
    entry = _between(call.key, moved.from_account, moved.to_account, moved.money)
    await books.post(
        unit, entry, _reasons(moved.from_account, moved.to_account), related=_related(unit)
    )


async def _move_back(unit: Unit, call: StepCall[MoneyMove]) -> Undone:
    """Raises InsufficientFunds if the receiver has spent it: a person must look."""
    moved = call.request
    entry = _between(f"{call.key}/undo", moved.to_account, moved.from_account, moved.money)
    reasons = dict.fromkeys((moved.from_account, moved.to_account), "compensation")
    await books.post(unit, entry, reasons, related=_related(unit))
    return Undone(UndoStatus.EXECUTED, moved.money.amount_minor, moved.money.asset_code)


def _between(entry_id: str, from_account: str, to_account: str, money: Money) -> JournalEntry:
    return move(
        entry_id,
        "transfer",
        debit=ledger_account_id(from_account, money.asset_code),
        credit=ledger_account_id(to_account, money.asset_code),
        money=money,
    )


def _reasons(from_account: str, to_account: str) -> dict[str, str]:
    return {from_account: "outgoing_transfer", to_account: "incoming_transfer"}


def _related(unit: Unit) -> str:
    return unit.saga.subject_id or unit.saga.workflow_id

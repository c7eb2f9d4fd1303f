"""An account's first days: created, its owner verified, funded, activated; or discarded."""

from dataclasses import asdict

from temporalio import activity

from activities import books
from activities.connectors.kyc import Kyc, Profile
from activities.ports import AccountActivities
from activities.steps import Steps, Unit
from domain.account import OpenAccountRequest, asset_balance
from domain.account_limits import limits_to_row
from domain.catalogue import AccountCreated
from domain.ledger import JournalEntry, bank_account_id, ledger_account_id, move
from domain.saga import StepCall, Undone, UndoStatus
from storage import accounts, holders, ledger
from storage.types import utc_now

Call = StepCall[OpenAccountRequest]


class SqlAccountActivities(AccountActivities):
    def __init__(self, steps: Steps, kyc: Kyc) -> None:
        self._steps = steps
        self._kyc = kyc

    @activity.defn
    async def create_account(self, call: Call) -> None:
        await self._steps.perform(call, _create)

    @activity.defn
    async def discard_account(self, call: Call) -> Undone:
        return await self._steps.undo(call, _discard)

    @activity.defn
    async def verify_owner(self, call: Call) -> None:
        async def verify() -> Profile:
            return await self._kyc.verify(call.key, call.request.user_uuid, call.request.kyc_faults)

        await self._steps.perform_outside(call, verify, _verified)

    @activity.defn
    async def set_limits(self, call: Call) -> None:
        await self._steps.perform(call, _set_limits)

    @activity.defn
    async def remove_limits(self, call: Call) -> Undone:
        return await self._steps.undo(call, _remove_limits)

    @activity.defn
    async def initial_deposit(self, call: Call) -> None:
        await self._steps.perform(call, _deposit)

    @activity.defn
    async def withdraw_deposit(self, call: Call) -> Undone:
        return await self._steps.undo(call, _withdraw)

    @activity.defn
    async def activate_account(self, call: Call) -> None:
        await self._steps.perform(call, _activate)


async def _create(unit: Unit, call: Call) -> None:
    request = call.request
    await accounts.ensure_account(unit.session, request, tenant_id=call.saga.tenant_id)
    await ledger.open_ledger_account(
        unit.session,
        ledger_account_id(request.id, request.base_currency),
        tenant_id=call.saga.tenant_id,
        account_id=request.id,
    )


async def _discard(unit: Unit, call: Call) -> Undone:
    await accounts.change(unit.session, call.request.id, status="closed", closed_at=utc_now())
    return Undone(UndoStatus.EXECUTED)


async def _verified(unit: Unit, call: Call, profile: Profile) -> None:
    known = asdict(profile)
    await holders.keep(unit.session, call.saga.tenant_id, call.request.user_uuid, known)


async def _set_limits(unit: Unit, call: Call) -> None:
    limits = limits_to_row(call.request.limits)
    await accounts.change(unit.session, call.request.id, limits=limits)


async def _remove_limits(unit: Unit, call: Call) -> Undone:
    await accounts.change(unit.session, call.request.id, limits={})
    return Undone(UndoStatus.EXECUTED)


async def _deposit(unit: Unit, call: Call) -> None:
    reasons = {call.request.id: "deposit"}
    await books.post(unit, _first_money(call), reasons, related=call.request.id)


async def _withdraw(unit: Unit, call: Call) -> Undone:
    request = call.request
    money = request.initial_balance
    entry = move(
        f"{call.key}/compensation",
        "compensation",
        debit=ledger_account_id(request.id, request.base_currency),
        credit=bank_account_id(call.saga.tenant_id, "cash", request.base_currency),
        money=money,
    )
    await books.post(unit, entry, {request.id: "compensation"}, related=request.id)
    return Undone(UndoStatus.EXECUTED, money.amount_minor, money.asset_code)


async def _activate(unit: Unit, call: Call) -> None:
    request = call.request
    row = await accounts.change(unit.session, request.id, status="active")
    balance = asset_balance(
        request.base_currency, posted_minor=request.initial_balance_minor, reserved_minor=0
    )
    unit.tell(
        AccountCreated(
            account_uuid=row.id,
            user_uuid=row.user_uuid,
            name=row.name,
            type=row.type,
            status="active",
            base_currency=row.base_currency,
            balances=(balance,),
            metadata=row.account_metadata,
            created_at=row.created_at,
            workflow_id=call.saga.workflow_id,
        )
    )


def _first_money(call: Call) -> JournalEntry:
    request = call.request
    return move(
        call.key,
        "deposit",
        debit=bank_account_id(call.saga.tenant_id, "cash", request.base_currency),
        credit=ledger_account_id(request.id, request.base_currency),
        money=request.initial_balance,
    )

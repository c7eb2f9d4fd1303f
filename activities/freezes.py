"""Freeze and unfreeze accounts: the flag, who authorised it, and what was under way."""

from temporalio import activity

from activities.ports import FreezeActivities
from activities.steps import Steps, Unit
from domain.account import FreezeAccountRequest, MoneyHolders, UnfreezeAccountRequest
from domain.catalogue import AccountFrozen, AccountUnfrozen
from domain.errors import (
    AccountAlreadyFrozen,
    AccountClosed,
    AccountNotActive,
    AccountNotFrozen,
)
from domain.saga import NOTHING_TO_UNDO, StepCall, Undone, UndoStatus
from storage import accounts, freezes
from storage.account_tables import AccountFreeze
from storage.kept import kept
from storage.types import utc_now

HOLDERS_MAX = 100

NOT_FREEZABLE = {
    "frozen": AccountAlreadyFrozen,
    "closed": AccountClosed,
    "pending": AccountNotActive,
}


class SqlFreezeActivities(FreezeActivities):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @activity.defn
    async def place_freeze(self, call: StepCall[FreezeAccountRequest]) -> None:
        await self._steps.perform(call, _place)

    @activity.defn
    async def remove_freeze(self, call: StepCall[FreezeAccountRequest]) -> Undone:
        return await self._steps.undo(call, _remove)

    @activity.defn
    async def record_freeze(self, call: StepCall[FreezeAccountRequest]) -> None:
        await self._steps.perform(call, _record_freeze)

    @activity.defn
    async def find_money_holders(self, call: StepCall[FreezeAccountRequest]) -> MoneyHolders:
        return await self._steps.perform(call, _find_money_holders)

    @activity.defn
    async def lift_freeze(self, call: StepCall[UnfreezeAccountRequest]) -> None:
        await self._steps.perform(call, _lift)

    @activity.defn
    async def put_freeze_back(self, call: StepCall[UnfreezeAccountRequest]) -> Undone:
        return await self._steps.undo(call, _put_back)

    @activity.defn
    async def record_unfreeze(self, call: StepCall[UnfreezeAccountRequest]) -> None:
        await self._steps.perform(call, _record_unfreeze)


async def _place(unit: Unit, call: StepCall[FreezeAccountRequest]) -> None:
    request, saga = call.request, call.saga
    account = await accounts.lock_account(unit.session, saga.tenant_id, request.account_uuid)
    if account.status != "active":
        raise NOT_FREEZABLE[account.status](account.id)
    said = await kept(unit.session, saga.workflow_id)
    freeze = AccountFreeze(
        id=saga.workflow_id,
        tenant_id=saga.tenant_id,
        account_id=account.id,
        reason=said.get("reason") or request.reason_code,
        authorized_by=said.get("authorized_by") or saga.initiated_by,
        source=request.source,
        case_id=request.case_id,
    )
    await freezes.place(unit.session, account, freeze)


async def _remove(unit: Unit, call: StepCall[FreezeAccountRequest]) -> Undone:
    saga = call.saga
    account = await accounts.lock_account(unit.session, saga.tenant_id, call.request.account_uuid)
    freeze = await freezes.in_force(unit.session, account.id)
    if freeze is None or freeze.id != saga.workflow_id:
        return NOTHING_TO_UNDO  # Somebody has lifted it since.
    await freezes.lift(unit.session, account, workflow_id=saga.workflow_id)
    return Undone(UndoStatus.EXECUTED)


async def _record_freeze(unit: Unit, call: StepCall[FreezeAccountRequest]) -> None:
    freeze = await unit.session.get_one(AccountFreeze, call.saga.workflow_id)
    unit.tell(AccountFrozen.model_validate(_told(freeze)))


async def _find_money_holders(unit: Unit, call: StepCall[FreezeAccountRequest]) -> MoneyHolders:
    account_id = call.request.account_uuid
    return await freezes.holders_of_money(unit.session, account_id, most=HOLDERS_MAX)


async def _lift(unit: Unit, call: StepCall[UnfreezeAccountRequest]) -> None:
    saga = call.saga
    account = await accounts.lock_account(unit.session, saga.tenant_id, call.request.account_uuid)
    if account.status != "frozen":
        raise AccountNotFrozen(account.id)
    if await freezes.in_force(unit.session, account.id) is None:
        unit.session.add(_by_hand(account.id, account.frozen_reason, call))
        await unit.session.flush()
    await freezes.lift(unit.session, account, workflow_id=saga.workflow_id)


def _by_hand(
    account_id: str, reason: str | None, call: StepCall[UnfreezeAccountRequest]
) -> AccountFreeze:
    """The row of a freeze that no saga placed, so that its end can be told like any other's."""
    return AccountFreeze(
        id=f"{call.saga.workflow_id}/by-hand",
        tenant_id=call.saga.tenant_id,
        account_id=account_id,
        reason=reason or "frozen by hand",
        authorized_by=call.saga.initiated_by,
    )


async def _put_back(unit: Unit, call: StepCall[UnfreezeAccountRequest]) -> Undone:
    saga = call.saga
    account = await accounts.lock_account(unit.session, saga.tenant_id, call.request.account_uuid)
    freeze = await freezes.lifted_by(unit.session, saga.workflow_id)
    if freeze is None or account.status != "active":
        return NOTHING_TO_UNDO  # It is frozen again, or closed.
    await freezes.put_back(unit.session, account, freeze)
    return Undone(UndoStatus.EXECUTED)


async def _record_unfreeze(unit: Unit, call: StepCall[UnfreezeAccountRequest]) -> None:
    freeze = await freezes.lifted_by(unit.session, call.saga.workflow_id)
    assert freeze is not None, "what was lifted has a row"
    said = await kept(unit.session, call.saga.workflow_id)
    now = utc_now()
    unfrozen = {
        "reason": said.get("reason") or call.request.reason_code,
        "authorized_by": said.get("authorized_by") or call.saga.initiated_by,
        "unfrozen_at": now,
        "frozen_duration_seconds": max(0, int((now - freeze.frozen_at).total_seconds())),
    }
    unit.tell(AccountUnfrozen.model_validate(_told(freeze) | unfrozen))


def _told(freeze: AccountFreeze) -> dict[str, object]:
    return {
        "account_uuid": freeze.account_id,
        "reason": freeze.reason,
        "authorized_by": freeze.authorized_by,
        "source": freeze.source,
        "case_id": freeze.case_id,
        "frozen_at": freeze.frozen_at,
    }

"""Change an account's details: each change is a version, and so is taking it back."""

from typing import Any

from temporalio import activity

from activities.ports import AccountChangeActivities
from activities.steps import Steps, Unit
from domain.account import UpdateAccountRequest
from domain.account_limits import limits_to_row
from domain.catalogue import AccountUpdated
from domain.errors import AccountClosed, AccountStateConflict
from domain.saga import NOTHING_TO_UNDO, StepCall, Undone, UndoStatus
from storage import accounts, versions
from storage.kept import kept

Call = StepCall[UpdateAccountRequest]


class SqlAccountChangeActivities(AccountChangeActivities):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @activity.defn
    async def write_version(self, call: Call) -> dict[str, int]:
        return await self._steps.perform(call, _write)

    @activity.defn
    async def restore_version(self, call: Call) -> Undone:
        return await self._steps.undo(call, _restore)

    @activity.defn
    async def confirm_version(self, call: Call) -> None:
        await self._steps.perform(call, _confirm)


async def _write(unit: Unit, call: Call) -> dict[str, int]:
    request, saga = call.request, call.saga
    account = await accounts.lock_account(unit.session, saga.tenant_id, request.account_uuid)
    if account.status == "closed":
        raise AccountClosed(account.id)
    wanted = _wanted(request, await kept(unit.session, saga.workflow_id))
    found = versions.details(account)
    current = {name: value for name, value in wanted.items() if value != found[name]}
    if not current:
        raise AccountStateConflict("nothing would change", account_uuid=account.id)
    row = await versions.write(unit.session, account, current, saga)
    return {"version": row.version}


async def _restore(unit: Unit, call: Call) -> Undone:
    """A newer version by somebody else stays; what it did not touch is restored."""
    saga = call.saga
    account = await accounts.lock_account(unit.session, saga.tenant_id, call.request.account_uuid)
    ours = await versions.written_by(unit.session, account.id, saga.workflow_id)
    assert ours is not None, "what is restored was written"
    now = versions.details(account)
    previous = {
        name: value for name, value in ours.previous.items() if now[name] == ours.current[name]
    }
    if not previous:
        return NOTHING_TO_UNDO
    await versions.write(unit.session, account, previous, saga)
    return Undone(UndoStatus.EXECUTED)


async def _confirm(unit: Unit, call: Call) -> None:
    saga = call.saga
    row = await versions.written_by(unit.session, call.request.account_uuid, saga.workflow_id)
    assert row is not None, "what is confirmed was written"
    unit.tell(
        AccountUpdated(
            account_uuid=row.account_id,
            changed_fields=tuple(sorted(row.current)),
            previous=row.previous,
            current=row.current,
            updated_by=row.changed_by,
            updated_at=row.changed_at,
        )
    )


def _wanted(request: UpdateAccountRequest, said: dict[str, Any]) -> dict[str, Any]:
    wanted = {name: said[name] for name in ("name", "metadata") if said.get(name) is not None}
    if request.type is not None:
        wanted["type"] = request.type
    if request.limits is not None:
        wanted["limits"] = limits_to_row(request.limits)
    return wanted

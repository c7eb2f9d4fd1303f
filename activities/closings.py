"""Close accounts: hold what is left, revoke mandates, then sweep and close in one commit."""

from temporalio import activity

from activities import books
from activities.ports import ClosingActivities
from activities.steps import Steps, Unit
from domain.account import CloseAccountRequest, asset_balance
from domain.catalogue import AccountClosed
from domain.errors import AccountHasBalance, AccountStateConflict
from domain.ledger import ledger_account_id, move
from domain.money import Money
from domain.saga import NOTHING_TO_UNDO, StepCall, Undone, UndoStatus
from storage import accounts, closings, ledger
from storage.closings import Rest
from storage.kept import kept
from storage.types import utc_now

Call = StepCall[CloseAccountRequest]


class SqlClosingActivities(ClosingActivities):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @activity.defn
    async def set_aside_rest(self, call: Call) -> None:
        await self._steps.perform(call, _set_aside)

    @activity.defn
    async def release_rest(self, call: Call) -> Undone:
        return await self._steps.undo(call, _release)

    @activity.defn
    async def revoke_mandates(self, call: Call) -> dict[str, int]:
        return await self._steps.perform(call, _revoke)

    @activity.defn
    async def restore_mandates(self, call: Call) -> Undone:
        return await self._steps.undo(call, _restore)

    @activity.defn
    async def close_account(self, call: Call) -> None:
        await self._steps.perform(call, _close)


async def _set_aside(unit: Unit, call: Call) -> None:
    request = call.request
    for rest in await _closable(unit, call):
        if rest.posted_minor:
            money = Money(rest.posted_minor, rest.asset_code)
            hold_id = _hold_id(request, rest.asset_code)
            await books.place_hold(unit, hold_id, request.account_uuid, money, related=request.id)


async def _release(unit: Unit, call: Call) -> Undone:
    request, found = call.request, NOTHING_TO_UNDO
    for rest in await closings.rest_of(unit.session, request.account_uuid, call.saga.workflow_id):
        hold_id = _hold_id(request, rest.asset_code)
        released = await books.release_hold(
            unit, hold_id, request.account_uuid, rest.asset_code, related=request.id
        )
        if released:
            found = Undone(UndoStatus.EXECUTED, rest.ours_minor, rest.asset_code)
    return found


async def _revoke(unit: Unit, call: Call) -> dict[str, int]:
    account_id, workflow_id = call.request.account_uuid, call.saga.workflow_id
    return {
        "revoked": await closings.revoke_mandates(unit.session, account_id, workflow_id=workflow_id)
    }


async def _restore(unit: Unit, call: Call) -> Undone:
    restored = await closings.restore_mandates(unit.session, workflow_id=call.saga.workflow_id)
    return Undone(UndoStatus.EXECUTED) if restored else NOTHING_TO_UNDO


async def _close(unit: Unit, call: Call) -> None:
    """Checked again: money may have come in since, or somebody may have frozen the account."""
    request, saga = call.request, call.saga
    account = await accounts.lock_account(unit.session, saga.tenant_id, request.account_uuid)
    rests = await _closable(unit, call)
    if await closings.is_awaited(unit.session, account.id):
        raise AccountStateConflict("money is on its way to the account", account_uuid=account.id)
    for rest in rests:
        await _sweep(unit, call, rest)
    now = utc_now()
    await accounts.change(unit.session, account.id, status="closed", closed_at=now)
    said = await kept(unit.session, saga.workflow_id)
    unit.tell(
        AccountClosed(
            account_uuid=account.id,
            reason=said.get("reason") or request.reason_code,
            closed_by=said.get("authorized_by") or saga.initiated_by,
            final_balances=tuple(
                asset_balance(rest.asset_code, posted_minor=0, reserved_minor=0) for rest in rests
            ),
            closed_at=now,
        )
    )


async def _closable(unit: Unit, call: Call) -> list[Rest]:
    """What is left, all of which may be swept. Raises AccountHasBalance if not."""
    request, saga = call.request, call.saga
    target = request.sweep_to_account
    involved = [request.account_uuid] if target is None else [request.account_uuid, target]
    await ledger.check_accounts(unit.session, saga.tenant_id, involved)
    rests = await closings.rest_of(unit.session, request.account_uuid, saga.workflow_id)
    for rest in rests:
        if rest.others_minor:
            raise _has_balance(rest, rest.others_minor, "set aside by somebody else")
        if rest.posted_minor and target is None:
            raise _has_balance(rest, rest.posted_minor, "left, and no account to take it")
    return rests


def _has_balance(rest: Rest, minor: int, how: str) -> AccountHasBalance:
    return AccountHasBalance(
        f"account {rest.account_id} has {Money(minor, rest.asset_code)} {how}",
        account_uuid=rest.account_id,
        asset_code=rest.asset_code,
        left_minor=minor,
    )


async def _sweep(unit: Unit, call: Call, rest: Rest) -> None:
    """What was set aside, then what came in since."""
    since_minor = rest.posted_minor - rest.ours_minor
    if rest.ours_minor:
        hold_id = _hold_id(call.request, rest.asset_code)
        await _pay_out(unit, call, Money(rest.ours_minor, rest.asset_code), hold_id)
    if since_minor:
        await _pay_out(unit, call, Money(since_minor, rest.asset_code))


async def _pay_out(unit: Unit, call: Call, money: Money, hold_id: str | None = None) -> None:
    request = call.request
    source, target = request.account_uuid, request.sweep_to_account
    assert target is not None, "what is left was checked"
    part = "rest" if hold_id else "since"
    entry = move(
        f"{call.key}/{money.asset_code}/{part}",
        "transfer",
        debit=ledger_account_id(source, money.asset_code),
        credit=ledger_account_id(target, money.asset_code),
        money=money,
    )
    reasons = {source: "outgoing_transfer", target: "incoming_transfer"}
    await books.post(unit, entry, reasons, related=request.id, hold_id=hold_id)


def _hold_id(request: CloseAccountRequest, asset_code: str) -> str:
    return f"{request.id}/sweep/{asset_code}"

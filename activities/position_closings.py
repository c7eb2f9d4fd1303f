"""Close positions: lock, withdraw, and book what came back and what was paid back."""

from temporalio import activity

from activities import books
from activities.connectors.defi import DefiProtocol
from activities.ports import PositionClosingActivities
from activities.steps import Steps, Unit
from domain.errors import PositionNotOpen
from domain.ledger import bank_account_id, ledger_account_id, move
from domain.money import Money
from domain.position import (
    ClosePositionRequest,
    ClosingPosition,
    Position,
    Withdrawn,
    WithdrawnPosition,
    realized_pnl,
)
from domain.saga import StepCall, Undone, UndoStatus
from storage import ledger, positions
from storage.types import utc_now


class ConnectedClosingActivities(PositionClosingActivities):
    def __init__(self, steps: Steps, protocol: DefiProtocol) -> None:
        self._steps = steps
        self._protocol = protocol

    @activity.defn
    async def lock_position(self, call: StepCall[ClosePositionRequest]) -> Position:
        return await self._steps.perform(call, _lock)

    @activity.defn
    async def unlock_position(self, call: StepCall[ClosePositionRequest]) -> Undone:
        return await self._steps.undo(call, _unlock)

    @activity.defn
    async def withdraw_position(self, call: StepCall[ClosingPosition]) -> Withdrawn:
        closing = call.request

        async def withdraw() -> Withdrawn:
            return await self._protocol.withdraw(
                call.key,
                closing.position,
                liquidate=closing.request.reason == "liquidated",
                faults=closing.request.faults("close"),
            )

        return await self._steps.perform_outside(call, withdraw, _withdrawn)

    @activity.defn
    async def credit_returned(self, call: StepCall[WithdrawnPosition]) -> None:
        await self._steps.perform(call, _credit)


async def _lock(unit: Unit, call: StepCall[ClosePositionRequest]) -> Position:
    request, tenant_id = call.request, call.saga.tenant_id
    row = await positions.find(unit.session, tenant_id, request.position_id, lock=True)
    if row.status != "open":
        raise PositionNotOpen(f"{row.id} is {row.status}", position_id=row.id)
    position = positions.position_of(row)
    repays = ClosingPosition(request, position).repays
    if repays is not None:
        await ledger.check_accounts(unit.session, tenant_id, [position.account_id])
        await books.place_hold(
            unit, request.hold_id, position.account_id, repays, related=position.id
        )
    await positions.change(unit.session, row.id, status="closing", closing_by=call.saga.workflow_id)
    return position


async def _unlock(unit: Unit, call: StepCall[ClosePositionRequest]) -> Undone:
    request = call.request
    row = await positions.change(unit.session, request.position_id, status="open", closing_by=None)
    position = positions.position_of(row)
    repays = ClosingPosition(request, position).repays
    if repays is None:
        return Undone(UndoStatus.EXECUTED)
    await books.release_hold(
        unit, request.hold_id, position.account_id, repays.asset_code, related=position.id
    )
    return Undone(UndoStatus.EXECUTED, repays.amount_minor, repays.asset_code)


async def _withdrawn(unit: Unit, call: StepCall[ClosingPosition], found: Withdrawn) -> Withdrawn:
    await positions.change(unit.session, call.request.position.id, tx_hash=found.tx_hash)
    return found


async def _credit(unit: Unit, call: StepCall[WithdrawnPosition]) -> None:
    """Never refused: the protocol has given it back."""
    closing, withdrawn = call.request.closing, call.request.withdrawn
    position = closing.position
    returned = Money(withdrawn.returned_minor, position.money.asset_code)
    await _post_repayment(unit, call)
    if returned.amount_minor:
        entry = move(
            f"{call.key}/returned",
            "position",
            debit=_protocols(call, returned.asset_code),
            credit=ledger_account_id(position.account_id, returned.asset_code),
            money=returned,
        )
        reasons = {position.account_id: "incoming_transfer"}
        await books.post(unit, entry, reasons, related=position.id)
    row = await positions.change(unit.session, position.id, status="closed", closed_at=utc_now())
    pnl = str(realized_pnl(closing, withdrawn))
    unit.tell(positions.closed(row, closing.request.reason, returned=returned, pnl=pnl))


async def _post_repayment(unit: Unit, call: StepCall[WithdrawnPosition]) -> None:
    closing = call.request.closing
    repays, position = closing.repays, closing.position
    if repays is None:
        return
    entry = move(
        f"{call.key}/repaid",
        "position",
        debit=ledger_account_id(position.account_id, repays.asset_code),
        credit=_protocols(call, repays.asset_code),
        money=repays,
    )
    reasons = {position.account_id: "outgoing_transfer"}
    hold_id = closing.request.hold_id
    await books.post(unit, entry, reasons, related=position.id, hold_id=hold_id)


def _protocols(call: StepCall[WithdrawnPosition], asset_code: str) -> str:
    protocol = call.request.closing.position.protocol
    return bank_account_id(call.saga.tenant_id, f"defi:{protocol}", asset_code)

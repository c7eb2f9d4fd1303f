"""Open positions: terms, lock, approval, supply; and back out of each, if one is refused."""

from decimal import Decimal

from temporalio import activity

from activities import books, limits
from activities.connectors.defi import DefiProtocol
from activities.ports import PositionOpeningActivities
from activities.steps import Steps, Unit
from domain.errors import ConnectorRefused, Undercollateralized
from domain.ledger import bank_account_id, ledger_account_id, move
from domain.position import (
    AssessedPosition,
    OpenPositionRequest,
    SuppliedPosition,
    Terms,
    health_factor,
)
from domain.saga import NOTHING_TO_UNDO, StepCall, Undone, UndoStatus
from domain.wallets import wallet_address
from storage import ledger, positions
from storage.types import utc_now


class ConnectedOpeningActivities(PositionOpeningActivities):
    def __init__(self, steps: Steps, protocol: DefiProtocol) -> None:
        self._steps = steps
        self._protocol = protocol

    @activity.defn
    async def assess_position(self, call: StepCall[OpenPositionRequest]) -> Terms:
        request = call.request

        async def ask() -> Terms:
            return await self._protocol.terms(call.key, request, request.faults("assess"))

        return await self._steps.perform_outside(call, ask, _assess)

    @activity.defn
    async def abandon_position(self, call: StepCall[OpenPositionRequest]) -> Undone:
        return await self._steps.undo(call, _abandon)

    @activity.defn
    async def lock_stake(self, call: StepCall[AssessedPosition]) -> None:
        await self._steps.perform(call, _lock)

    @activity.defn
    async def unlock_stake(self, call: StepCall[AssessedPosition]) -> Undone:
        return await self._steps.undo(call, _unlock)

    @activity.defn
    async def approve_protocol(self, call: StepCall[AssessedPosition]) -> None:
        request = call.request.request

        async def approve() -> None:
            faults = request.faults("approve")
            await self._protocol.approve(call.key, _wallet(call), request.money, faults)

        await self._steps.perform_outside(call, approve, _approved)

    @activity.defn
    async def revoke_protocol(self, call: StepCall[AssessedPosition]) -> Undone:
        async def revoke() -> Undone:
            revoked = await self._protocol.call_off(call.key)
            return Undone(UndoStatus.EXECUTED) if revoked else NOTHING_TO_UNDO

        return await self._steps.undo_outside(call, revoke, _nothing_here)

    @activity.defn
    async def supply_protocol(self, call: StepCall[AssessedPosition]) -> str:
        request = call.request.request

        async def supply() -> str:
            faults = request.faults("supply")
            return await self._protocol.supply(call.key, _wallet(call), request, faults)

        return await self._steps.perform_outside(call, supply, _supplied)

    @activity.defn
    async def withdraw_supply(self, call: StepCall[AssessedPosition]) -> Undone:
        money = call.request.request.money

        async def withdraw() -> Undone:
            if not await self._protocol.call_off(call.key):
                return NOTHING_TO_UNDO
            return Undone(UndoStatus.EXECUTED, money.amount_minor, money.asset_code)

        return await self._steps.undo_outside(call, withdraw, _nothing_here)

    @activity.defn
    async def register_position(self, call: StepCall[SuppliedPosition]) -> None:
        await self._steps.perform(call, _register)

    @activity.defn
    async def deregister_position(self, call: StepCall[SuppliedPosition]) -> Undone:
        return await self._steps.undo(call, _deregister)

    @activity.defn
    async def settle_stake(self, call: StepCall[SuppliedPosition]) -> None:
        await self._steps.perform(call, _settle)


def _wallet(call: StepCall[AssessedPosition]) -> str:
    request = call.request.request
    return wallet_address(call.saga.tenant_id, request.account_uuid, request.chain)


async def _assess(unit: Unit, call: StepCall[OpenPositionRequest], terms: Terms) -> Terms:
    request = call.request
    if Decimal(terms.price_impact_percent) > Decimal(request.max_price_impact_percent):
        raise ConnectorRefused(
            "slippage_exceeded",
            f"the price would move by {terms.price_impact_percent} %, "
            f"{request.max_price_impact_percent} % are allowed",
            price_impact_percent=terms.price_impact_percent,
        )
    health = health_factor(request.money, request.debt)
    if health is not None and health <= 1:
        raise Undercollateralized(f"it would be liquidated at once: health factor {health}")
    await positions.create(unit.session, call.saga, AssessedPosition(request, terms))
    return terms


async def _abandon(unit: Unit, call: StepCall[OpenPositionRequest]) -> Undone:
    failure = call.failure
    assert failure is not None, "a compensation knows why"
    why = {"step": failure.step, "code": failure.code, "text": failure.text}
    await positions.change(unit.session, call.request.position_id, status="failed", failure=why)
    return NOTHING_TO_UNDO


async def _lock(unit: Unit, call: StepCall[AssessedPosition]) -> None:
    request = call.request.request
    [account] = await ledger.check_accounts(
        unit.session, call.saga.tenant_id, [request.account_uuid]
    )
    await books.place_hold(
        unit, request.hold_id, request.account_uuid, request.money, related=request.position_id
    )
    await limits.check(unit.session, account, request.money)


async def _unlock(unit: Unit, call: StepCall[AssessedPosition]) -> Undone:
    request = call.request.request
    await books.release_hold(
        unit,
        request.hold_id,
        request.account_uuid,
        request.asset_code,
        related=request.position_id,
    )
    return Undone(UndoStatus.EXECUTED, request.money.amount_minor, request.asset_code)


async def _approved(unit: Unit, call: StepCall[AssessedPosition], answer: None) -> None:
    """The protocol's word is all there is to it: the step's event tells it."""


async def _supplied(unit: Unit, call: StepCall[AssessedPosition], tx_hash: str) -> str:
    await positions.change(unit.session, call.request.request.position_id, tx_hash=tx_hash)
    return tx_hash


async def _nothing_here(unit: Unit, call: StepCall[AssessedPosition]) -> Undone:
    return NOTHING_TO_UNDO


async def _register(unit: Unit, call: StepCall[SuppliedPosition]) -> None:
    position_id = call.request.request.position_id
    row = await positions.change(unit.session, position_id, opened_at=utc_now())
    unit.tell(positions.told(row, "opened"))


async def _deregister(unit: Unit, call: StepCall[SuppliedPosition]) -> Undone:
    request, now = call.request.request, utc_now()
    row = await positions.change(unit.session, request.position_id, status="failed", closed_at=now)
    unit.tell(positions.closed(row, "compensation", returned=request.money, pnl="0.00"))
    return Undone(UndoStatus.EXECUTED)


async def _settle(unit: Unit, call: StepCall[SuppliedPosition]) -> None:
    """Never refused: the protocol has the tokens."""
    request, debt = call.request.request, call.request.request.debt
    account_id, related = request.account_uuid, request.position_id
    await positions.change(unit.session, related, status="open")
    put_in = move(
        f"{call.key}/supply",
        "position",
        debit=ledger_account_id(account_id, request.asset_code),
        credit=_protocols(call, request.asset_code),
        money=request.money,
    )
    reasons = {account_id: "outgoing_transfer"}
    await books.post(unit, put_in, reasons, related=related, hold_id=request.hold_id)
    if debt is not None:
        borrowed = move(
            f"{call.key}/borrow",
            "position",
            debit=_protocols(call, debt.asset_code),
            credit=ledger_account_id(account_id, debt.asset_code),
            money=debt,
        )
        await books.post(unit, borrowed, {account_id: "incoming_transfer"}, related=related)


def _protocols(call: StepCall[SuppliedPosition], asset_code: str) -> str:
    """What the protocol owes the bank's customers, or they the protocol."""
    protocol = call.request.request.protocol
    return bank_account_id(call.saga.tenant_id, f"defi:{protocol}", asset_code)

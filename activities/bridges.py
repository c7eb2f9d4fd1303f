"""Bring tokens to another chain: quote, screen, lock, send, and book what arrived or came back."""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities import books, limits
from activities.connectors.bridge import Bridge
from activities.connectors.sanctions import HIT, Party, Sanctions, Screening
from activities.ports import BridgeActivities
from activities.steps import Steps, Unit
from domain.bridge import (
    Arrival,
    ArrivedBridge,
    BridgeQuote,
    BridgeQuoteRequest,
    BridgeTransferRequest,
    CrossingRequest,
    QuotedBridge,
    ask_again_after,
    check_limits,
    check_quote,
)
from domain.catalogue import EventData
from domain.errors import ComplianceRejected
from domain.ledger import Direction, JournalEntry, Posting, bank_account_id, ledger_account_id
from domain.money import Money
from domain.saga import NOTHING_TO_UNDO, StepCall, Undone, UndoStatus
from domain.story import error_details
from domain.wallets import wallet_address
from runtime.database import Database
from storage import bridges, ledger, parties
from storage.bridge_tables import Bridge as BridgeRow
from storage.types import utc_now


class ConnectedBridgeActivities(BridgeActivities):
    def __init__(
        self, database: Database, steps: Steps, bridge: Bridge, sanctions: Sanctions
    ) -> None:
        self._database = database
        self._steps = steps
        self._bridge = bridge
        self._sanctions = sanctions

    @activity.defn
    async def ask_quote(self, call: StepCall[BridgeQuoteRequest]) -> BridgeQuote:
        quote_id = f"quote_{call.request.id}"
        return await self._steps.perform_outside(call, self._asking(call, quote_id), _keep_quote)

    @activity.defn
    async def quote_bridge(self, call: StepCall[BridgeTransferRequest]) -> BridgeQuote:
        if call.request.quote_id is not None:
            return await self._steps.perform(call, _open)
        quote_id = f"quote_{call.request.bridge_id}"
        return await self._steps.perform_outside(call, self._asking(call, quote_id), _keep_and_open)

    @activity.defn
    async def fail_bridge(self, call: StepCall[BridgeTransferRequest]) -> Undone:
        return await self._steps.undo(call, _fail)

    @activity.defn
    async def verify_sender(self, call: StepCall[QuotedBridge]) -> None:
        account_id = call.request.request.from_account

        async def screen() -> Screening:
            async with self._database.read() as session:
                known = await parties.known_of(session, call.saga.tenant_id, account_id)
            party = Party(account_id, known.get("name"))
            faults = call.request.request.faults("sanctions")
            return await self._sanctions.screen(call.key, party, faults)

        await self._steps.perform_outside(call, screen, _verified)

    @activity.defn
    async def lock_source(self, call: StepCall[QuotedBridge]) -> None:
        await self._steps.perform(call, _lock)

    @activity.defn
    async def unlock_source(self, call: StepCall[QuotedBridge]) -> Undone:
        return await self._steps.undo(call, _unlock)

    @activity.defn
    async def submit_source(self, call: StepCall[QuotedBridge]) -> str:
        request, quote = call.request.request, call.request.quote

        async def submit() -> str:
            return await self._bridge.submit(
                call.key, quote, request.route, request.money, request.faults("bridge")
            )

        return await self._steps.perform_outside(call, submit, _submitted)

    @activity.defn
    async def refund_source(self, call: StepCall[QuotedBridge]) -> Undone:
        money, found = call.request.request.money, ""

        async def refund() -> Undone:
            nonlocal found
            found = await self._bridge.refund(call.key) or ""
            if not found:
                return NOTHING_TO_UNDO
            return Undone(UndoStatus.EXECUTED, money.amount_minor, money.asset_code)

        async def refunded(unit: Unit, call: StepCall[QuotedBridge]) -> Undone:
            bridge_id = call.request.request.bridge_id
            await bridges.change(unit.session, bridge_id, refund_tx_hash=found or None)
            return NOTHING_TO_UNDO

        return await self._steps.undo_outside(call, refund, refunded)

    @activity.defn
    async def await_arrival(self, call: StepCall[QuotedBridge]) -> Arrival:
        request = call.request.request
        waited = utc_now() - call.begun_at

        async def ask() -> Arrival:
            found = await self._bridge.arrival(
                f"{call.saga.workflow_id}/submit_source",
                request.route,
                give_up=waited >= request.window,
                faults=request.faults("bridge"),
            )
            if found is None:
                left = request.window - waited
                raise ApplicationError(
                    "the tokens have not arrived yet",
                    type="bridge_pending",
                    next_retry_delay=min(left, ask_again_after(waited, request.route.usual)),
                    category=ApplicationErrorCategory.BENIGN,
                )
            return found

        return await self._steps.perform_outside(call, ask, _ended)

    @activity.defn
    async def mint_arrived(self, call: StepCall[ArrivedBridge]) -> None:
        await self._steps.perform(call, _mint)

    def _asking(self, call: StepCall[Any], quote_id: str) -> Any:
        request: CrossingRequest = call.request

        async def ask() -> BridgeQuote:
            faults = request.faults("bridge_quote")
            return await self._bridge.quote(quote_id, request.route, request.money, faults)

        return ask


async def _keep_quote(
    unit: Unit, call: StepCall[BridgeQuoteRequest], quote: BridgeQuote
) -> BridgeQuote:
    request = call.request
    await bridges.add_quote(unit.session, call.saga.tenant_id, request.route, request.money, quote)
    return quote


async def _keep_and_open(
    unit: Unit, call: StepCall[BridgeTransferRequest], quote: BridgeQuote
) -> BridgeQuote:
    request, tenant_id = call.request, call.saga.tenant_id
    await bridges.check_new(unit.session, request.bridge_id)
    await bridges.add_quote(unit.session, tenant_id, request.route, request.money, quote)
    return await _open_at(unit, call, quote.quote_id)


async def _open(unit: Unit, call: StepCall[BridgeTransferRequest]) -> BridgeQuote:
    assert call.request.quote_id is not None
    await bridges.check_new(unit.session, call.request.bridge_id)
    return await _open_at(unit, call, call.request.quote_id)


async def _open_at(unit: Unit, call: StepCall[BridgeTransferRequest], quote_id: str) -> BridgeQuote:
    quote = await bridges.use_quote(unit.session, call.saga.tenant_id, quote_id, call.request)
    check_quote(quote, utc_now())
    await bridges.open_bridge(unit.session, call.saga, call.request, quote)
    return quote


async def _fail(unit: Unit, call: StepCall[BridgeTransferRequest]) -> Undone:
    failure = call.failure
    assert failure is not None, "a compensation knows why"
    row = await bridges.change(
        unit.session,
        call.request.bridge_id,
        status="failed",
        failure={"step": failure.step, "code": failure.code, "text": failure.text},
    )
    unit.tell(_failed(row, call))
    return NOTHING_TO_UNDO


def _failed(row: BridgeRow, call: StepCall[BridgeTransferRequest]) -> EventData:
    assert call.failure is not None
    refunded = "refunded" if row.refund_tx_hash else "pending"
    return bridges.told(
        row,
        "failed",
        failure_reason=call.failure.code,
        error_details=error_details(call.failure),
        refund_status=refunded if row.source_tx_hash else "none",
        refund_tx_hash=row.refund_tx_hash,
    )


async def _verified(unit: Unit, call: StepCall[QuotedBridge], found: Screening) -> None:
    request = call.request.request
    if not found.cleared:
        raise ComplianceRejected(HIT, f"{found.provider} did not clear the sender")
    own = wallet_address(call.saga.tenant_id, request.from_account, request.from_chain)
    if request.sender_address not in (None, own):
        raise ComplianceRejected("sender_not_verified", "this address is not the account's own")


async def _lock(unit: Unit, call: StepCall[QuotedBridge]) -> None:
    request, now = call.request.request, utc_now()
    today = await bridges.day_use(unit.session, request, now)
    source, *_ = await ledger.check_accounts(unit.session, call.saga.tenant_id, request.accounts)
    check_quote(call.request.quote, now)
    check_limits(request.money, today)
    await books.place_hold(
        unit, request.hold_id, request.from_account, request.money, related=request.bridge_id
    )
    await limits.check(unit.session, source, request.money)
    await bridges.change(unit.session, request.bridge_id, status="locked")


async def _unlock(unit: Unit, call: StepCall[QuotedBridge]) -> Undone:
    request = call.request.request
    await books.release_hold(
        unit, request.hold_id, request.from_account, request.asset_code, related=request.bridge_id
    )
    return Undone(UndoStatus.EXECUTED, request.money.amount_minor, request.asset_code)


async def _submitted(unit: Unit, call: StepCall[QuotedBridge], tx_hash: str) -> str:
    row = await bridges.change(
        unit.session,
        call.request.request.bridge_id,
        status="initiated",
        source_tx_hash=tx_hash,
        submitted_at=utc_now(),
    )
    unit.tell(bridges.told(row, "initiated"))
    return tx_hash


async def _ended(unit: Unit, call: StepCall[QuotedBridge], arrival: Arrival) -> Arrival:
    return arrival


async def _mint(unit: Unit, call: StepCall[ArrivedBridge]) -> None:
    bridge, arrival = call.request.bridge, call.request.arrival
    request = bridge.request
    reasons = {account_id: "incoming_transfer" for account_id in request.accounts}
    reasons[request.from_account] = "outgoing_transfer"
    if request.credited_account == request.from_account:
        reasons[request.from_account] = "fee"
    entry = _entry(call.key, call.saga.tenant_id, bridge)
    await books.post(unit, entry, reasons, related=request.bridge_id, hold_id=request.hold_id)
    row = await bridges.change(
        unit.session,
        request.bridge_id,
        status="completed",
        arrival_tx_hash=arrival.tx_hash,
        received_minor=bridge.received.amount_minor,
        confirmations=arrival.confirmations,
        completed_at=utc_now(),
    )
    unit.tell(bridges.completed(row))


def _entry(entry_id: str, tenant_id: str, bridge: QuotedBridge) -> JournalEntry:
    """What leaves one chain, less the fee, is on the other: an account's, or gone from the bank.

    Whose tokens only change chains pays nothing but the fee.
    """
    request = bridge.request
    asset_code, sent, received = request.asset_code, request.money, bridge.received
    source = ledger_account_id(request.from_account, asset_code)
    left = bank_account_id(tenant_id, f"chain:{request.from_chain}", asset_code)
    reached = bank_account_id(tenant_id, f"chain:{request.to_chain}", asset_code)
    legs = [Posting(left, Direction.CREDIT, sent)]
    if request.credited_account is None:
        legs.append(Posting(source, Direction.DEBIT, sent))
    else:
        legs.append(Posting(reached, Direction.DEBIT, received))
        legs += _customers(request, source, received)
    return JournalEntry(entry_id, "bridge", tuple(legs))


def _customers(request: BridgeTransferRequest, source: str, received: Money) -> list[Posting]:
    if request.credited_account == request.from_account:
        fee_minor = request.money.amount_minor - received.amount_minor
        return [Posting(source, Direction.DEBIT, Money(fee_minor, request.asset_code))]
    credited = ledger_account_id(str(request.credited_account), request.asset_code)
    return [
        Posting(source, Direction.DEBIT, request.money),
        Posting(credited, Direction.CREDIT, received),
    ]

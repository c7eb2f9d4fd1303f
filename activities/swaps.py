"""Swap what arrived over a bridge, and book what came out; or leave it as it is, and say so."""

from temporalio import activity

from activities import books
from activities.connectors.dex import Dex
from activities.ports import SwapActivities
from activities.steps import Steps, Unit
from domain.catalogue import SwapCompleted
from domain.errors import (
    AccountClosed,
    AccountFrozen,
    ConnectorRefused,
    InsufficientFunds,
)
from domain.ledger import Direction, JournalEntry, Posting, bank_account_id, ledger_account_id
from domain.saga import StepCall
from domain.swap import (
    BridgedSwap,
    CrossChainSwapRequest,
    EndedSwap,
    Swapped,
    SwapQuote,
    check_quote,
)
from storage import ledger
from storage.kept import kept


class ConnectedSwapActivities(SwapActivities):
    def __init__(self, steps: Steps, dex: Dex) -> None:
        self._steps = steps
        self._dex = dex

    @activity.defn
    async def quote_swap(self, call: StepCall[CrossChainSwapRequest]) -> SwapQuote:
        request = call.request

        async def ask() -> SwapQuote:
            faults = request.faults("dex_quote")
            return await self._dex.quote(call.key, request.money, request.to_asset, faults)

        return await self._steps.perform_outside(call, ask, _quoted)

    @activity.defn
    async def reserve_bridged(self, call: StepCall[BridgedSwap]) -> str | None:
        return await self._steps.perform(call, _reserve)

    @activity.defn
    async def swap_bridged(self, call: StepCall[BridgedSwap]) -> Swapped:
        bridged = call.request

        async def swap() -> Swapped:
            faults = bridged.request.faults("dex")
            try:
                return await self._dex.swap(call.key, bridged.received, bridged.min_output, faults)
            except ConnectorRefused as refused:
                return Swapped("bridged_unswapped", reason=refused.reason_code)

        swapped = await self._steps.perform_outside(call, swap, _swapped)
        if _is_unswapped(swapped):  # Nor may it be swapped by a try that is late.
            await self._dex.call_off(call.key)
        return swapped

    @activity.defn
    async def deliver_swap(self, call: StepCall[EndedSwap]) -> None:
        await self._steps.perform(call, _deliver)


async def _quoted(unit: Unit, call: StepCall[CrossChainSwapRequest], quote: SwapQuote) -> SwapQuote:
    check_quote(call.request, quote)
    return quote


async def _reserve(unit: Unit, call: StepCall[BridgedSwap]) -> str | None:
    bridged = call.request
    request, account_id = bridged.request, bridged.request.from_account
    try:
        await ledger.check_accounts(unit.session, call.saga.tenant_id, [account_id])
        await books.place_hold(
            unit, request.hold_id, account_id, bridged.received, related=request.swap_id
        )
    except (InsufficientFunds, AccountFrozen, AccountClosed) as refused:
        return refused.reason_code
    return None


async def _swapped(unit: Unit, call: StepCall[BridgedSwap], swapped: Swapped) -> Swapped:
    return swapped


def _is_unswapped(swapped: Swapped | dict[str, object]) -> bool:
    """A step that was done before answers as it was kept: in plain JSON."""
    outcome = swapped["outcome"] if isinstance(swapped, dict) else swapped.outcome
    return outcome == "bridged_unswapped"


async def _deliver(unit: Unit, call: StepCall[EndedSwap]) -> None:
    ended, request = call.request, call.request.bridged.request
    account_id, related = request.from_account, request.swap_id
    if ended.swapped.outcome == "swapped":
        reasons = {account_id: "conversion"}
        await books.post(unit, _exchange(call), reasons, related=related, hold_id=request.hold_id)
    else:
        asset_code = request.from_asset
        await books.release_hold(unit, request.hold_id, account_id, asset_code, related=related)
    said = await kept(unit.session, call.saga.workflow_id)
    unit.tell(_completed(ended, said.get("metadata") or {}))


def _exchange(call: StepCall[EndedSwap]) -> JournalEntry:
    """Four legs, balanced in each token: the bank's dex accounts stand between the two."""
    tenant_id, customer = call.saga.tenant_id, call.request.bridged.request.from_account
    sold, bought = call.request.bridged.received, call.request.output
    return JournalEntry(
        call.key,
        "conversion",
        (
            Posting(ledger_account_id(customer, sold.asset_code), Direction.DEBIT, sold),
            Posting(bank_account_id(tenant_id, "dex", sold.asset_code), Direction.CREDIT, sold),
            Posting(bank_account_id(tenant_id, "dex", bought.asset_code), Direction.DEBIT, bought),
            Posting(ledger_account_id(customer, bought.asset_code), Direction.CREDIT, bought),
        ),
    )


def _completed(ended: EndedSwap, metadata: dict[str, object]) -> SwapCompleted:
    bridged, swapped = ended.bridged, ended.swapped
    request, output, least = bridged.request, ended.output, bridged.min_output
    return SwapCompleted.model_validate(
        {
            "swap_id": request.swap_id,
            "source_chain": request.from_chain,
            "destination_chain": request.to_chain,
            "input_token": request.from_asset,
            "output_token": output.asset_code,
            "input_amount": request.money.decimal,
            "input_amount_minor": request.money.amount_minor,
            "output_amount": output.decimal,
            "output_amount_minor": output.amount_minor,
            "min_output_amount": least.decimal,
            "min_output_amount_minor": least.amount_minor,
            "price_impact_percent": swapped.price_impact_percent,
            "bridge_tx_id": bridged.bridge_tx_id,
            "swap_tx_hash": swapped.tx_hash,
            "outcome": swapped.outcome,
            "metadata": metadata,
        }
    )

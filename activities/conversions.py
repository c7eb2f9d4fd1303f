"""Convert one asset into another inside a customer's account, and back."""

from decimal import Decimal

from temporalio import activity

from activities import books
from activities.connectors.fx import FxMarket, Quote
from activities.ports import ConversionActivities
from activities.steps import Steps, Unit
from domain.ledger import (
    Direction,
    JournalEntry,
    Posting,
    bank_account_id,
    ledger_account_id,
)
from domain.money import Money
from domain.saga import NOTHING_TO_UNDO, StepCall, Undone, UndoStatus
from domain.transfer import Conversion, ConversionTransferRequest, transferable
from storage import ledger, saga_log

Call = StepCall[ConversionTransferRequest]


class MarketConversionActivities(ConversionActivities):
    def __init__(self, steps: Steps, market: FxMarket, *, fee_basis_points: int) -> None:
        self._steps = steps
        self._market = market
        self._fee_basis_points = fee_basis_points

    @activity.defn
    async def convert(self, call: Call) -> Conversion:
        request = call.request

        async def deal() -> Quote:
            return await self._market.deal(
                call.key,
                request.money,
                request.to_asset,
                slippage_max=Decimal(request.max_slippage_percent),
                faults=request.fx_faults,
            )

        return await self._steps.perform_outside(call, deal, self._convert)

    @activity.defn
    async def convert_back(self, call: Call) -> Undone:
        async def reverse() -> Undone:
            reversed_there = await self._market.reverse(call.key)
            return Undone(UndoStatus.EXECUTED) if reversed_there else NOTHING_TO_UNDO

        return await self._steps.undo_outside(call, reverse, _convert_back)

    async def _convert(self, unit: Unit, call: Call, quote: Quote) -> Conversion:
        request = call.request
        await ledger.check_accounts(unit.session, call.saga.tenant_id, [request.from_account])
        entry = _exchange(call, "convert", request.money, quote.bought)
        reasons = {request.from_account: "conversion"}
        await books.post(unit, entry, reasons, related=request.id)
        sendable = transferable(quote.bought, basis_points=self._fee_basis_points)
        return Conversion(
            sold_minor=request.money.amount_minor,
            sold_asset=request.from_asset,
            bought_minor=quote.bought.amount_minor,
            bought_asset=request.to_asset,
            rate=quote.rate,
            transferable_minor=sendable.amount_minor,
        )


async def _convert_back(unit: Unit, call: Call) -> Undone:
    """The customer gets the first asset back in full, at the rate it was sold for.

    Raises InsufficientFunds if what was bought is no longer there: a person must look.
    """
    request = call.request
    step = await saga_log.find_step(unit.session, call.saga.workflow_id, call.step)
    assert step is not None, "only a done conversion is converted back"
    bought = Money(step.result["bought_minor"], request.to_asset)
    entry = _exchange(call, "compensation", bought, request.money)
    await books.post(unit, entry, {request.from_account: "compensation"}, related=request.id)
    return Undone(UndoStatus.EXECUTED, request.money.amount_minor, request.from_asset)


def _exchange(call: Call, kind: str, sold: Money, bought: Money) -> JournalEntry:
    """Four legs, balanced in each asset: the bank's fx accounts stand between the two."""
    customer, tenant_id = call.request.from_account, call.saga.tenant_id
    return JournalEntry(
        f"{call.key}/{kind}",
        kind,
        (
            Posting(ledger_account_id(customer, sold.asset_code), Direction.DEBIT, sold),
            Posting(bank_account_id(tenant_id, "fx", sold.asset_code), Direction.CREDIT, sold),
            Posting(bank_account_id(tenant_id, "fx", bought.asset_code), Direction.DEBIT, bought),
            Posting(ledger_account_id(customer, bought.asset_code), Direction.CREDIT, bought),
        ),
    )

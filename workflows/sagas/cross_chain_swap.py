"""Cross-chain swap: tokens to another chain, and there swapped for others at a minimum.

    quote ──► bridge ★ (a saga of its own) ──► reserve ──► swap ──► deliver
      │          │                                │          │         ▲
    nothing ◄── failed: it gave all back        spent ──► refused ──► as bridged

The bridge is the pivot: it undoes itself if it fails. What has arrived stays: if the market does
not give the minimum for it, the account keeps the bridged tokens, and that is what is told.
"""

from dataclasses import replace
from typing import Any

from temporalio import workflow

from activities.ports import SwapActivities
from domain.money import Money
from domain.sandbox import Faults
from domain.swap import BridgedSwap, CrossChainSwapRequest, EndedSwap, Swapped, least_output
from workflows.saga import CHILD, Saga
from workflows.steps import Step, named

QUOTE = Step(SwapActivities.quote_swap, outside=True, attempts_max=5)
BRIDGE = named(CHILD, "bridge")
RESERVE = Step(SwapActivities.reserve_bridged)
SWAP = Step(SwapActivities.swap_bridged, outside=True)
DELIVER = Step(SwapActivities.deliver_swap)

STEPS = (QUOTE, BRIDGE, RESERVE, SWAP, DELIVER)
EXAMPLE = CrossChainSwapRequest(
    from_account="0199c5a2-0000-7000-8000-000000000001",
    amount="1000.00",
    from_asset="USDC",
    to_asset="ETH",
)
# The market moves too far: the account keeps what was bridged.
EXAMPLES = (replace(EXAMPLE, sandbox={"dex": Faults(slip_percent="5")}),)


@workflow.defn(name="cross_chain_swap")
class CrossChainSwap:
    @workflow.run
    async def run(self, request: CrossChainSwapRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("swap", request.swap_id)) as saga:
            quote = await saga.run(QUOTE, request)
            arrived = await saga.child("bridge_transfer", request.bridge, step=BRIDGE)
            received = Money(arrived["received_minor"], request.from_asset)
            bridged = BridgedSwap(
                request=request,
                bridge_tx_id=arrived["bridge_tx_id"],
                received_minor=received.amount_minor,
                min_output_minor=least_output(request, quote, received).amount_minor,
            )
            swapped = await self._swap(saga, bridged)
            await saga.run(DELIVER, EndedSwap(bridged, swapped))
            saga.result = {
                "swap_id": request.swap_id,
                "bridge_tx_id": bridged.bridge_tx_id,
                "outcome": swapped.outcome,
                "reason": swapped.reason,
            }
        return saga.result

    async def _swap(self, saga: Saga, bridged: BridgedSwap) -> Swapped:
        spent = await saga.run(RESERVE, bridged)
        if spent is not None:
            return Swapped("bridged_unswapped", reason=spent)
        return await saga.run(SWAP, bridged)

"""Bridge transfer: an account's tokens from one chain to another, over a bridge.

    quote ──► verify sender ──► lock ──► submit source ★ ──► await arrival ──► mint
      │             │            │            │                   │
     fail ◄─────────┴───────── unlock ◄──── refund ◄────── not there in time

What was sent into a bridge cannot be called back, so submitting is the pivot: an answer that is
lost is asked for again, and a cancel comes too late. If the tokens have not arrived when their
window has passed, the bridge must give its last word: only when that is that it gave them back is
the lock on the customer's money undone.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow

from activities.ports import BridgeActivities
from domain.bridge import ArrivedBridge, BridgeTransferRequest, QuotedBridge
from workflows.saga import Saga
from workflows.steps import Step

QUOTE = Step(
    BridgeActivities.quote_bridge,
    compensation=BridgeActivities.fail_bridge,
    outside=True,
    attempts_max=5,
)
VERIFY = Step(BridgeActivities.verify_sender, outside=True, attempts_max=5)
LOCK = Step(BridgeActivities.lock_source, compensation=BridgeActivities.unlock_source)
SUBMIT = Step(
    BridgeActivities.submit_source,
    compensation=BridgeActivities.refund_source,
    outside=True,
    undo_first=True,  # While they are not known to be back, the lock stays.
)
ARRIVE = Step(BridgeActivities.await_arrival, outside=True, stuck_after=timedelta(hours=1))
MINT = Step(BridgeActivities.mint_arrived)

STEPS = (QUOTE, VERIFY, LOCK, SUBMIT, ARRIVE, MINT)
EXAMPLE = BridgeTransferRequest(
    from_account="0199c5a2-0000-7000-8000-000000000001",
    amount="1000.00",
    asset_code="USDC",
    from_chain="ethereum",
    to_chain="base",
)


@workflow.defn(name="bridge_transfer")
class BridgeTransfer:
    @workflow.run
    async def run(self, request: BridgeTransferRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("bridge_transfer", request.bridge_id)) as saga:
            bridge = QuotedBridge(request, await saga.run(QUOTE, request))
            await saga.run(VERIFY, bridge)
            await saga.run(LOCK, bridge)
            source_tx_hash = await saga.pivot(SUBMIT, bridge)
            arrival = await saga.run(ARRIVE, bridge)
            if arrival.outcome == "refunded":
                within = f"{request.window.total_seconds():.0f} seconds"
                saga.turn_back("bridge_timeout", f"the tokens did not arrive within {within}")
            await saga.run(MINT, ArrivedBridge(bridge, arrival))
            saga.result = {
                "bridge_tx_id": request.bridge_id,
                "source_tx_hash": source_tx_hash,
                "arrival_tx_hash": arrival.tx_hash,
                "received_minor": bridge.received.amount_minor,
            }
        return saga.result

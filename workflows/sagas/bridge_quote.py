"""Bridge quote: what a bridge takes for an amount, held for 300 seconds and for one transfer.

    ask ──► (a bridge transfer names it, or it expires)

Nothing is to be undone: a quote that nobody uses binds nobody.
"""

from typing import Any

from temporalio import workflow

from activities.ports import BridgeActivities
from domain.bridge import BridgeQuoteRequest
from domain.money import minor_to_decimal
from workflows.saga import Saga
from workflows.steps import Step

ASK = Step(BridgeActivities.ask_quote, outside=True, attempts_max=5)

STEPS = (ASK,)
EXAMPLE = BridgeQuoteRequest(amount="1000.00", from_chain="ethereum", to_chain="base")


@workflow.defn(name="bridge_quote")
class BridgeQuote:
    @workflow.run
    async def run(self, request: BridgeQuoteRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("bridge_quote", request.id)) as saga:
            quote = await saga.run(ASK, request)
            saga.result = {
                "quote_id": quote.quote_id,
                "fee_amount": minor_to_decimal(quote.fee_minor, request.asset_code),
                "fee_minor": quote.fee_minor,
                "expires_at": quote.expires_at.isoformat(),
            }
        return saga.result

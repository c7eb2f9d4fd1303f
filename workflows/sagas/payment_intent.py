"""Payment intent: a payer promises a merchant a payment on a chain, and has 15 minutes to mean it.

    create ──► (authorize) ──► hold ──► submit ★ ──► await confirmations ──► receipt
       │            │            │          │
    cancel ◄──── expired ◄─── release ◄── refused

What was broadcast cannot be called back, so submitting is the pivot: after it the money is never
given back, however long the blocks take. Authorised by the update or the signal `authorize`.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.ports import PaymentIntentActivities
from domain.payment_intent import Authorization, PaymentIntentRequest
from workflows.saga import Saga
from workflows.steps import Step

CREATE = Step(
    PaymentIntentActivities.create_intent, compensation=PaymentIntentActivities.cancel_intent
)
HOLD = Step(
    PaymentIntentActivities.hold_payment, compensation=PaymentIntentActivities.release_payment
)
SUBMIT = Step(PaymentIntentActivities.submit_payment, outside=True)
CONFIRM = Step(
    PaymentIntentActivities.await_confirmations, outside=True, stuck_after=timedelta(hours=1)
)
RECEIPT = Step(PaymentIntentActivities.issue_receipt)

STEPS = (CREATE, HOLD, SUBMIT, CONFIRM, RECEIPT)
EXAMPLE = PaymentIntentRequest(
    payer_account="0199c5a2-0000-7000-8000-000000000001",
    merchant_id="mer_example",
    amount="24.90",
    asset_code="USDC",
    network="base",
    authorized=True,
)


@workflow.defn(name="payment_intent")
class PaymentIntent:
    @workflow.init
    def __init__(self, request: PaymentIntentRequest) -> None:
        self._authorized = request.authorized
        self._closed = False

    @workflow.update
    def authorize(self, authorization: Authorization) -> str:
        self._authorized = True
        return "authorized"

    @authorize.validator
    def check_open(self, authorization: Authorization) -> None:
        if self._closed and not self._authorized:
            raise ApplicationError("it is too late to authorize this", type="not_awaited")

    @workflow.signal(name="authorize")
    def authorize_by_signal(self, authorization: Authorization) -> None:
        self._authorized = True

    @workflow.run
    async def run(self, request: PaymentIntentRequest) -> dict[str, Any]:
        lives = timedelta(seconds=request.authorize_within_s)
        subject = ("payment_intent", request.intent_id)
        async with Saga(STEPS, subject=subject, deadline=lives) as saga:
            await saga.run(CREATE, request)
            await self._authorization(saga)
            await saga.run(HOLD, request)
            tx_hash = await saga.pivot(SUBMIT, request)
            await saga.run(CONFIRM, request)
            receipt_id = await saga.run(RECEIPT, request)
            saga.result = {
                "intent_id": request.intent_id,
                "tx_hash": tx_hash,
                "receipt_id": receipt_id,
            }
        return saga.result

    async def _authorization(self, saga: Saga) -> None:
        try:
            await saga.wait_for(lambda: self._authorized, what="authorization")
        finally:
            self._closed = True

"""Pay merchants on a chain: hold, broadcast, wait for the blocks, post and give a receipt."""

from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities import books, limits
from activities.connectors.chain import Chain
from activities.ports import PaymentIntentActivities
from activities.steps import Steps, Unit
from domain.ledger import Direction, JournalEntry, Posting, bank_account_id, ledger_account_id
from domain.payment_intent import PaymentIntentRequest
from domain.saga import NOTHING_TO_UNDO, SagaState, StepCall, Undone, UndoStatus
from storage import ledger, payment_intents, saga_log
from storage.kept import kept
from storage.types import utc_now

ASK_AGAIN_AFTER = timedelta(seconds=1)
STATUS_OF = {SagaState.TIMED_OUT: "expired", SagaState.CANCELLED: "cancelled"}

Call = StepCall[PaymentIntentRequest]


class ChainPaymentIntentActivities(PaymentIntentActivities):
    def __init__(self, steps: Steps, chain: Chain) -> None:
        self._steps = steps
        self._chain = chain

    @activity.defn
    async def create_intent(self, call: Call) -> None:
        await self._steps.perform(call, _create)

    @activity.defn
    async def cancel_intent(self, call: Call) -> Undone:
        return await self._steps.undo(call, _cancel)

    @activity.defn
    async def hold_payment(self, call: Call) -> None:
        await self._steps.perform(call, _hold)

    @activity.defn
    async def release_payment(self, call: Call) -> Undone:
        return await self._steps.undo(call, _release)

    @activity.defn
    async def submit_payment(self, call: Call) -> str:
        request = call.request

        async def submit() -> str:
            return await self._chain.submit(
                call.key, request.network, request.money, request.chain_faults
            )

        return await self._steps.perform_outside(call, submit, _submitted)

    @activity.defn
    async def await_confirmations(self, call: Call) -> int:
        request = call.request
        submission_id = f"{call.saga.workflow_id}/submit_payment"
        found = await self._chain.confirmations(
            submission_id, wanted=request.confirmations, faults=request.chain_faults
        )
        if found < request.confirmations:
            raise ApplicationError(
                f"{found} of {request.confirmations} confirmations",
                type="chain_pending",
                next_retry_delay=ASK_AGAIN_AFTER,
                category=ApplicationErrorCategory.BENIGN,
            )

        async def confirmed(unit: Unit, call: Call) -> int:
            await payment_intents.change(unit.session, request.intent_id, confirmations=found)
            return found

        return await self._steps.perform(call, confirmed)

    @activity.defn
    async def issue_receipt(self, call: Call) -> str:
        return await self._steps.perform(call, _issue)


async def _create(unit: Unit, call: Call) -> None:
    said = await kept(unit.session, call.saga.workflow_id)
    row = await payment_intents.create(unit.session, call.saga, call.request, said)
    unit.tell(payment_intents.told(row, "created"))


async def _cancel(unit: Unit, call: Call) -> Undone:
    failure, request = call.failure, call.request
    assert failure is not None, "a compensation knows why"
    row = await payment_intents.change(
        unit.session,
        request.intent_id,
        status=STATUS_OF.get(failure.outcome, "failed"),
        failure={"step": failure.step, "code": failure.code, "text": failure.text},
    )
    if row.status == "expired":
        hold = await saga_log.find_step(unit.session, call.saga.workflow_id, "hold_payment")
        released = hold is not None and hold.state == "undone"
        last = {"last_status": "awaiting_auth", "expired_at": utc_now(), "released_hold": released}
        unit.tell(payment_intents.told(row, "expired", **last))
    return NOTHING_TO_UNDO


async def _hold(unit: Unit, call: Call) -> None:
    request = call.request
    [account] = await ledger.check_accounts(
        unit.session, call.saga.tenant_id, [request.payer_account]
    )
    await books.place_hold(
        unit, request.hold_id, request.payer_account, request.total, related=request.intent_id
    )
    await limits.check(unit.session, account, request.money)
    await payment_intents.change(unit.session, request.intent_id, status="submitting")


async def _release(unit: Unit, call: Call) -> Undone:
    request = call.request
    await books.release_hold(
        unit, request.hold_id, request.payer_account, request.asset_code, related=request.intent_id
    )
    return Undone(UndoStatus.EXECUTED, request.total.amount_minor, request.asset_code)


async def _submitted(unit: Unit, call: Call, tx_hash: str) -> str:
    await payment_intents.change(
        unit.session, call.request.intent_id, status="pending", tx_hash=tx_hash
    )
    return tx_hash


async def _issue(unit: Unit, call: Call) -> str:
    request = call.request
    reasons = {request.payer_account: "outgoing_transfer"}
    entry = _entry(call)
    await books.post(unit, entry, reasons, related=request.intent_id, hold_id=request.hold_id)
    row = await payment_intents.change(
        unit.session,
        request.intent_id,
        status="confirmed",
        receipt_id=f"rcp_{request.intent_id.removeprefix('pi_')}",
        confirmed_at=utc_now(),
    )
    assert row.receipt_id is not None
    facts = {name: getattr(row, name) for name in ("tx_hash", "confirmations", "receipt_id")}
    unit.tell(payment_intents.told(row, "completed", **facts, confirmed_at=row.confirmed_at))
    return row.receipt_id


def _entry(call: Call) -> JournalEntry:
    """The payer pays the chain what it carries, and the bank what it takes."""
    request, tenant_id = call.request, call.saga.tenant_id
    payer = ledger_account_id(request.payer_account, request.asset_code)
    chain = bank_account_id(tenant_id, f"chain:{request.network}", request.asset_code)
    fees = bank_account_id(tenant_id, "fees", request.asset_code)
    legs = [
        Posting(payer, Direction.DEBIT, request.total),
        Posting(chain, Direction.CREDIT, request.money),
    ]
    if request.fee.amount_minor:
        legs.append(Posting(fees, Direction.CREDIT, request.fee))
    return JournalEntry(call.key, "payment", tuple(legs))

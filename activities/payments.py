"""Money that crosses the bank's edge: collected or paid out by a rail, posted when it has moved."""

from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities import books, limits
from activities.connectors.rail import Rail
from activities.ports import PaymentActivities
from activities.steps import Steps, Unit
from domain.ledger import bank_account_id, ledger_account_id, move
from domain.payment import PaymentRequest
from domain.saga import NOTHING_TO_UNDO, SagaState, StepCall, Undone, UndoStatus
from storage import ledger, payments
from storage.types import utc_now

ASK_AGAIN_AFTER = timedelta(seconds=1)


class ConnectedPaymentActivities(PaymentActivities):
    def __init__(self, steps: Steps, rail: Rail) -> None:
        self._steps = steps
        self._rail = rail

    @activity.defn
    async def open_deposit(self, call: StepCall[PaymentRequest]) -> None:
        await self._steps.perform(call, _open)

    @activity.defn
    async def open_withdrawal(self, call: StepCall[PaymentRequest]) -> None:
        await self._steps.perform(call, _open)

    @activity.defn
    async def check_payee(self, call: StepCall[PaymentRequest]) -> None:
        await self._steps.perform(call, _check_payee)

    @activity.defn
    async def fail_payment(self, call: StepCall[PaymentRequest]) -> Undone:
        return await self._steps.undo(call, _fail)

    @activity.defn
    async def hold_withdrawal(self, call: StepCall[PaymentRequest]) -> None:
        await self._steps.perform(call, _hold)

    @activity.defn
    async def release_withdrawal(self, call: StepCall[PaymentRequest]) -> Undone:
        return await self._steps.undo(call, _release)

    @activity.defn
    async def ask_rail(self, call: StepCall[PaymentRequest]) -> str:
        async def ask() -> str:
            return await self._rail.submit(call.key, call.request.money, call.request.rail_faults)

        return await self._steps.perform_outside(call, ask, _asked)

    @activity.defn
    async def recall_payment(self, call: StepCall[PaymentRequest]) -> Undone:
        async def recall() -> Undone:
            if not await self._rail.recall(call.key):
                return NOTHING_TO_UNDO
            money = call.request.money
            return Undone(UndoStatus.EXECUTED, money.amount_minor, money.asset_code)

        return await self._steps.undo_outside(call, recall, _nothing_here)

    @activity.defn
    async def await_payment(self, call: StepCall[PaymentRequest]) -> None:
        payment_id = f"{call.saga.workflow_id}/ask_rail"
        if not await self._rail.confirmed(payment_id, call.request.rail_faults):
            raise ApplicationError(
                "the rail has not confirmed yet",
                type="rail_pending",
                next_retry_delay=ASK_AGAIN_AFTER,
                category=ApplicationErrorCategory.BENIGN,
            )
        await self._steps.perform(call, _confirmed)

    @activity.defn
    async def post_deposit(self, call: StepCall[PaymentRequest]) -> None:
        await self._steps.perform(call, _post_deposit)

    @activity.defn
    async def post_withdrawal(self, call: StepCall[PaymentRequest]) -> None:
        await self._steps.perform(call, _post_withdrawal)


async def _open(unit: Unit, call: StepCall[PaymentRequest]) -> None:
    await payments.open_payment(unit.session, call.saga, call.request)


async def _check_payee(unit: Unit, call: StepCall[PaymentRequest]) -> None:
    account_id = call.request.account_uuid
    await ledger.check_accounts(unit.session, call.saga.tenant_id, [account_id])


async def _fail(unit: Unit, call: StepCall[PaymentRequest]) -> Undone:
    failure = call.failure
    assert failure is not None, "a compensation knows why"
    await payments.change(
        unit.session,
        call.request.id,
        status="expired" if failure.outcome is SagaState.TIMED_OUT else "failed",
        failure={"step": failure.step, "code": failure.code, "text": failure.text},
    )
    return NOTHING_TO_UNDO


async def _hold(unit: Unit, call: StepCall[PaymentRequest]) -> None:
    request = call.request
    [account] = await ledger.check_accounts(
        unit.session, call.saga.tenant_id, [request.account_uuid]
    )
    await books.place_hold(
        unit, request.hold_id, request.account_uuid, request.money, related=request.id
    )
    await limits.check(unit.session, account, request.money)
    await payments.change(unit.session, request.id, status="held")


async def _release(unit: Unit, call: StepCall[PaymentRequest]) -> Undone:
    request = call.request
    await books.release_hold(
        unit, request.hold_id, request.account_uuid, request.asset_code, related=request.id
    )
    return Undone(UndoStatus.EXECUTED, request.money.amount_minor, request.asset_code)


async def _asked(unit: Unit, call: StepCall[PaymentRequest], reference: str) -> str:
    await payments.change(unit.session, call.request.id, status="pending", rail_reference=reference)
    return reference


async def _confirmed(unit: Unit, call: StepCall[PaymentRequest]) -> None:
    """The rail's word is all there is to it: the step's event tells it."""


async def _nothing_here(unit: Unit, call: StepCall[PaymentRequest]) -> Undone:
    return NOTHING_TO_UNDO


async def _post_deposit(unit: Unit, call: StepCall[PaymentRequest]) -> None:
    """Refused if the account was frozen or closed meanwhile: then the rail gives it back."""
    request = call.request
    await ledger.check_accounts(unit.session, call.saga.tenant_id, [request.account_uuid])
    entry = move(
        call.key,
        "deposit",
        debit=_rail_account(call),
        credit=ledger_account_id(request.account_uuid, request.asset_code),
        money=request.money,
    )
    await books.post(unit, entry, {request.account_uuid: "deposit"}, related=request.id)
    await payments.change(unit.session, request.id, status="completed", completed_at=utc_now())


async def _post_withdrawal(unit: Unit, call: StepCall[PaymentRequest]) -> None:
    """Never refused: the rail has taken the money."""
    request = call.request
    entry = move(
        call.key,
        "withdrawal",
        debit=ledger_account_id(request.account_uuid, request.asset_code),
        credit=_rail_account(call),
        money=request.money,
    )
    reasons = {request.account_uuid: "withdrawal"}
    await books.post(unit, entry, reasons, related=request.id, hold_id=request.hold_id)
    await payments.change(unit.session, request.id, status="completed", completed_at=utc_now())


def _rail_account(call: StepCall[PaymentRequest]) -> str:
    """What the rail owes the bank, or the bank the rail."""
    return bank_account_id(
        call.saga.tenant_id, f"rail:{call.request.rail}", call.request.asset_code
    )

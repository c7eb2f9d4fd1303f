"""What a transaction looks like: a line of a statement, or a payment that is not one yet."""

from typing import Literal

from pydantic import JsonValue

from api.dependencies import Services
from api.shapes import Timestamp, View
from domain.money import minor_to_decimal
from storage.payment_tables import Payment
from storage.statements import Behind, StatementLine

Status = Literal["pending", "completed", "failed"]
STATUS_OF: dict[str, Status] = {
    "completed": "completed",
    "failed": "failed",
    "expired": "failed",
}


class TransactionView(View):
    """Money that came into an account (`deposit`) or left it (`withdrawal`), and why: `kind`.

    Deposits and withdrawals over a rail have ids of their own, from before they are in the books;
    any other line's id is its place in the account: `{account}.{asset}.{number}`.
    """

    id: str
    account_uuid: str
    type: Literal["deposit", "withdrawal"]
    kind: str
    amount: str
    amount_minor: int
    asset_code: str
    status: Status
    reference: str | None
    balance_after: str | None
    balance_after_minor: int | None
    failure: dict[str, JsonValue] | None
    workflow_id: str | None
    workflow_url: str | None
    created_at: Timestamp
    completed_at: Timestamp | None


def transaction_view(line: StatementLine, of: Behind, shared: Services) -> TransactionView:
    """A line of the books: what it says is final."""
    payment = of.payments.get(line.workflow_id or "")
    if payment is not None and payment.type == line.kind:
        return payment_view(payment, shared, line)
    return TransactionView(
        id=f"{line.account_id}.{line.asset_code}.{line.account_version}",
        account_uuid=line.account_id,
        type="deposit" if line.direction < 0 else "withdrawal",
        kind=line.kind,
        amount=minor_to_decimal(line.amount_minor, line.asset_code),
        amount_minor=line.amount_minor,
        asset_code=line.asset_code,
        status="completed",
        reference=of.references.get(line.workflow_id or ""),
        balance_after=minor_to_decimal(line.balance_after, line.asset_code),
        balance_after_minor=line.balance_after,
        failure=None,
        workflow_id=line.workflow_id,
        workflow_url=shared.run_url(line.workflow_id) if line.workflow_id else None,
        created_at=line.recorded_at,
        completed_at=line.recorded_at,
    )


def payment_view(
    payment: Payment, shared: Services, line: StatementLine | None = None
) -> TransactionView:
    """A deposit or withdrawal, with its line once the books show it."""
    after_minor = line.balance_after if line else None
    return TransactionView.model_validate(
        payment.model_dump()
        | {
            "account_uuid": payment.account_id,
            "kind": payment.type,
            "amount": minor_to_decimal(payment.amount_minor, payment.asset_code),
            "status": STATUS_OF.get(payment.status, "pending"),
            "balance_after": _decimal(after_minor, payment.asset_code),
            "balance_after_minor": after_minor,
            "workflow_url": shared.run_url(payment.workflow_id),
        }
    )


def _decimal(amount_minor: int | None, asset_code: str) -> str | None:
    return None if amount_minor is None else minor_to_decimal(amount_minor, asset_code)

"""Change an account: put money in, take it out, freeze it, unfreeze it, rename it, close it.

Each is a saga, and most take less than a second: so they are waited for, unless they take longer.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts import AccountView, account_view
from api.auth import Allowed, Caller
from api.dependencies import Shared, Wait
from api.errors import Invalid, NotFound
from api.fields import Amount, AssetCode, Body, Id, Metadata, Name
from api.orders import field_names, request_of, saga_named, without_unset
from api.shapes import Data, Done, Told
from api.starting import Order, Starting, business_id
from api.transaction_shapes import TransactionView, payment_view
from domain.errors import AccountAlreadyFrozen, AccountFrozen, AccountNotFrozen
from domain.ids import new_uuid
from domain.money import parse_amount
from domain.saga import SagaState
from storage.ledger import check_accounts
from storage.ledger_tables import Account
from storage.listing import find_own
from storage.payment_tables import Payment
from storage.statements import line_of_run
from storage.tables import SagaRun

USUALLY_TAKES_S = 10.0

router = APIRouter(prefix="/accounts", tags=["accounts"])
Writer = Annotated[Caller, Depends(Allowed("write", "accounts.manage"))]
Payer = Annotated[Caller, Depends(Allowed("write", "accounts.manage", "transactions.manage"))]
Deleter = Annotated[Caller, Depends(Allowed("delete", "accounts.manage"))]

Reason = Annotated[str, Field(min_length=1, max_length=500, examples=["asked by the customer"])]
Check = Callable[[Account], None]
LATER: Final[dict[int | str, dict[str, Any]]] = {
    202: {"description": "accepted, and not finished in the time that was waited"}
}


class PaymentCreate(Body):
    """Money for, or from, an account. `rail` is the way it comes or goes."""

    id: Id
    amount: Amount
    asset_code: AssetCode = "USD"
    reference: Annotated[str | None, Field(max_length=255)] = None
    metadata: Metadata = Field(default_factory=dict)
    rail: Annotated[str | None, Field(pattern=r"^[a-z_]{1,32}$")] = None
    expires_in_s: Annotated[int | None, Field(ge=1, le=2_592_000)] = None


class FreezeOrder(Body):
    """Why, in words, and who says so. `reason_code` is one word, for events and reports."""

    reason: Reason
    authorized_by: Annotated[str | None, Field(min_length=1, max_length=255)] = None
    reason_code: Annotated[str | None, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] = None


class CloseOrder(Body):
    """Why. What is left goes to `sweep_to_account`; without one the account must be empty."""

    reason: Reason | None = None
    sweep_to_account: Annotated[str | None, Field(min_length=1, max_length=64)] = None


class AccountUpdate(Body):
    """What to change; what is left out stays as it is."""

    name: Name | None = None
    type: Annotated[str | None, Field(pattern=r"^[a-z_]{1,32}$")] = None
    metadata: Metadata | None = None


class Changes:
    """Starts the saga that changes an account, for one request."""

    def __init__(self, shared: Shared, starting: Starting, wait: Wait) -> None:
        self._shared = shared
        self._starting = starting
        self._wait = wait

    async def pay(
        self, kind: str, account_id: str, body: PaymentCreate, caller: Caller
    ) -> Data[TransactionView]:
        async def render(session: AsyncSession, run: SagaRun) -> Data[TransactionView]:
            payment = await session.get_one(Payment, business_id(run))
            line = await line_of_run(session, run.workflow_id, payment.account_id)
            return Data(data=payment_view(payment, self._shared, line))

        order = paying(kind, account_id, body, caller)
        return await self._starting.start(
            order, Data[TransactionView], render, wait=self._seconds, must_complete=True
        )

    async def change(self, order: Order, account_id: str, done: str) -> Told[AccountView]:
        async def render(session: AsyncSession, run: SagaRun) -> Told[AccountView]:
            row = await session.get_one(Account, account_id, populate_existing=True)
            text = done if run.state == SagaState.COMPLETED else f"{order.summary}: under way"
            return Told(data=await account_view(session, row, self._shared), message=text)

        return await self._starting.start(
            order, Told[AccountView], render, wait=self._seconds, must_complete=True
        )

    @property
    def _seconds(self) -> float:
        longest = self._shared.settings.api_wait_max.total_seconds()
        return min(USUALLY_TAKES_S, longest) if self._wait is None else self._wait


Changing = Annotated[Changes, Depends()]


@router.post("/{account_id}/deposit", status_code=201, responses=LATER)
async def deposit(
    account_id: str, body: PaymentCreate, caller: Payer, changing: Changing
) -> Data[TransactionView]:
    """Put money in. Answered 201 once it is there; 202 if that takes longer."""
    return await changing.pay("deposit", account_id, body, caller)


@router.post("/{account_id}/withdraw", status_code=201, responses=LATER)
async def withdraw(
    account_id: str, body: PaymentCreate, caller: Payer, changing: Changing
) -> Data[TransactionView]:
    """Take money out. Answered 201 once it is gone; 202 if that takes longer."""
    return await changing.pay("withdrawal", account_id, body, caller)


@router.post("/{account_id}/freeze", responses=LATER)
async def freeze(
    account_id: str, body: FreezeOrder, caller: Writer, changing: Changing
) -> Told[AccountView]:
    """Let no money leave an account, nor come to it, until it is unfrozen."""
    order = _order("freeze_account", account_id, caller, may_be_frozen, body)
    return await changing.change(order, account_id, "the account is frozen")


@router.post("/{account_id}/unfreeze", responses=LATER)
async def unfreeze(
    account_id: str, body: FreezeOrder, caller: Writer, changing: Changing
) -> Told[AccountView]:
    """Let a frozen account be used again."""
    order = _order("unfreeze_account", account_id, caller, is_frozen, body)
    return await changing.change(order, account_id, "the account can be used again")


@router.patch("/{account_id}", responses=LATER)
async def update_account(
    account_id: str, body: AccountUpdate, caller: Writer, changing: Changing
) -> Told[AccountView]:
    """Change an account's details. Each change is a version, told as `account.updated`."""
    if not body.model_fields_set:
        raise Invalid({"body": ["say what to change: name, type or metadata"]})
    order = _order("update_account", account_id, caller, is_open, body)
    return await changing.change(order, account_id, "the account is changed")


@router.post("/{account_id}/close", responses=LATER)
async def close(
    account_id: str, body: CloseOrder, caller: Deleter, changing: Changing
) -> Told[AccountView]:
    """Close an account for good; what is left in it may go to another one first."""
    order = _order("close_account", account_id, caller, may_be_closed, body)
    return await changing.change(order, account_id, "the account is closed")


@router.delete("/{account_id}", responses={202: {"model": Done}})
async def delete_account(account_id: str, caller: Deleter, changing: Changing) -> Done:
    """Close an empty account. Its records stay: `?include_closed=true` shows them."""
    order = _order("close_account", account_id, caller, may_be_closed, CloseOrder())
    told = await changing.change(order, account_id, "the account is closed")
    return Done.model_validate({"message": told.message})


def may_be_frozen(account: Account) -> None:
    if account.status == "frozen":
        raise AccountAlreadyFrozen(account.id)


def is_frozen(account: Account) -> None:
    if account.status != "frozen":
        raise AccountNotFrozen(account.id)


def may_be_closed(account: Account) -> None:
    if account.status == "frozen":
        raise AccountFrozen(account.id)


def is_open(account: Account) -> None:
    """Every account that is not closed is: and a closed one is absent."""


def paying(kind: str, account_id: str, body: PaymentCreate, caller: Caller) -> Order:
    """The saga that brings or sends the money. Reference and metadata stay in the payment's row."""
    saga = saga_named(kind)
    given = body.model_dump(include={"id", "amount", "asset_code", "rail", "expires_in_s"})
    request = request_of(saga, without_unset(**given, account_uuid=account_id))
    money = parse_amount(body.amount, body.asset_code)

    async def check_account(session: AsyncSession) -> None:
        await _own_account(session, account_id, caller)
        await check_accounts(session, caller.tenant_id, [account_id])

    return Order(
        saga_type=kind,
        request=request,
        summary=f"{kind} of {money}, account …{account_id[-4:]}",
        location=f"/v2/transactions/{body.id}",
        kept={"reference": body.reference, "metadata": body.metadata},
        check=check_account,
        row=lambda tenant_id: Payment(
            id=body.id,
            tenant_id=tenant_id,
            account_id=account_id,
            type=kind,
            amount_minor=money.amount_minor,
            asset_code=body.asset_code,
            reference=body.reference,
            rail=getattr(request, "rail", "sandbox"),
            payment_metadata=body.metadata,
            workflow_id=f"{kind}/{body.id}",
        ),
    )


def _order(kind: str, account_id: str, caller: Caller, check: Check, body: Body) -> Order:
    saga = saga_named(kind)
    given = body.model_dump(exclude_none=True)
    known = {name: value for name, value in given.items() if name in field_names(saga)}
    request = request_of(saga, known | {"id": new_uuid(), "account_uuid": account_id})

    async def check_account(session: AsyncSession) -> None:
        check(await _own_account(session, account_id, caller))

    return Order(
        saga_type=kind,
        request=request,
        summary=f"{kind.replace('_', ' ')} …{account_id[-4:]}",
        location=f"/v2/workflows/{kind}/{request.id}",
        kept={name: value for name, value in given.items() if name not in known},
        check=check_account,
        completed_status=200,
    )


async def _own_account(session: AsyncSession, account_id: str, caller: Caller) -> Account:
    account = await find_own(session, Account, account_id, caller.tenant_id)
    if account is None or account.status == "closed":
        raise NotFound("account", account_id)
    return account

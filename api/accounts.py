"""Accounts: open one, look at it, read its balances."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Services, Session, Shared, Wait
from api.errors import NotFound
from api.fields import Amount, AssetCode, Body, Id, Metadata, Name, minor_units
from api.paging import Pages
from api.shapes import Data, Page, Timestamp, View
from api.starting import Order, Starting, business_id
from domain.account import OpenAccountRequest, asset_balance
from domain.catalogue import JsonObject
from domain.catalogue.account import AssetBalance
from domain.money import exponent, minor_to_decimal
from storage.ledger_tables import Account, LedgerAccount
from storage.listing import find_own
from storage.tables import SagaRun
from storage.views import ACCOUNT_ORDER, OWNERS, accounts_of, balances_of

OPENING_TAKES_S = 10.0

router = APIRouter(prefix="/accounts", tags=["accounts"])
Reader = Annotated[Caller, Depends(Allowed("read", "accounts.read", "accounts.manage"))]
Writer = Annotated[Caller, Depends(Allowed("write", "accounts.manage"))]


class AccountCreate(Body):
    """An account to open."""

    id: Id
    user_uuid: Annotated[str, Field(min_length=1, max_length=64, examples=["customer-1"])]
    name: Name
    type: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")] = "checking"
    base_currency: AssetCode = "USD"
    initial_balance: Amount = 0
    metadata: Metadata = Field(default_factory=dict)


class AccountView(View):
    """An account. `balance` is what is posted in its base currency; holds are not taken off."""

    id: str
    uuid: str
    user_uuid: str
    name: str
    type: str
    status: Literal["pending", "active", "frozen", "closed"]
    base_currency: str
    balance: str
    balance_minor: int
    available_balance: str
    available_balance_minor: int
    frozen: bool
    frozen_at: Timestamp | None
    frozen_reason: str | None
    metadata: JsonObject
    workflow_id: str
    workflow_url: str
    created_at: Timestamp
    updated_at: Timestamp
    closed_at: Timestamp | None


class BalancesSummary(View):
    total_assets: int
    base_currency: str
    base_balance: str
    base_balance_minor: int


class BalancesView(View):
    """Every asset of an account: `total` is posted, `reserved` of it is held."""

    account_uuid: str
    balances: list[AssetBalance]
    summary: BalancesSummary


async def own_account(
    account_id: str,
    caller: Reader,
    session: Session,
    *,
    include_closed: Annotated[bool, Query(description="show it although it is closed")] = False,
) -> Account:
    """A closed account is gone, but for those who ask for its records."""
    row = await find_own(session, Account, account_id, caller.tenant_id)
    if row is None or (row.status == "closed" and not include_closed):
        raise NotFound("account", account_id)
    return row


OwnAccount = Annotated[Account, Depends(own_account)]


@router.post("", status_code=201, responses={202: {"model": Data[AccountView]}})
async def open_account(
    body: AccountCreate, caller: Writer, shared: Shared, starting: Starting, wait: Wait
) -> Data[AccountView]:
    """Open an account, with money in it if you like.

    Answered 201 once the account can be used; 202, with its workflow, if that takes longer.
    """

    async def render(session: AsyncSession, run: SagaRun) -> Data[AccountView]:
        row = await session.get_one(Account, business_id(run))
        return Data(data=await account_view(session, row, shared))

    longest = shared.settings.api_wait_max.total_seconds()
    return await starting.start(
        opening(body),
        Data[AccountView],
        render,
        wait=min(OPENING_TAKES_S, longest) if wait is None else wait,
        must_complete=True,
    )


@router.get("")
async def list_accounts(
    caller: Reader,
    session: Session,
    shared: Shared,
    pages: Pages,
    status: Annotated[Literal["pending", "active", "frozen", "closed"] | None, Query()] = None,
) -> Page[AccountView]:
    """List accounts, the newest first."""
    query = accounts_of(caller.tenant_id)
    if status is not None:
        query = query.where(OWNERS.c.status == status)
    listed = await pages.find(session, query, ACCOUNT_ORDER)
    balances = await balances_of(session, [row.id for row in listed.rows])
    return pages.show(listed, lambda row: _view(row, balances[row.id], shared))


@router.get("/{account_id}")
async def get_account(account: OwnAccount, session: Session, shared: Shared) -> Data[AccountView]:
    """Get one account. A closed one is shown with `include_closed=true`."""
    return Data(data=await account_view(session, account, shared))


@router.get("/{account_id}/balances")
async def get_balances(row: OwnAccount, session: Session) -> Data[BalancesView]:
    """Get an account's balances, one for each asset."""
    rows = (await balances_of(session, [row.id]))[row.id]
    posted_minor, _ = _base_balance(row, rows)
    summary = BalancesSummary(
        total_assets=len(rows),
        base_currency=row.base_currency,
        base_balance=minor_to_decimal(posted_minor, row.base_currency),
        base_balance_minor=posted_minor,
    )
    balances = [_balance(one) for one in rows]
    return Data(data=BalancesView(account_uuid=row.id, balances=balances, summary=summary))


async def account_view(session: AsyncSession, row: Account, shared: Services) -> AccountView:
    return _view(row, (await balances_of(session, [row.id]))[row.id], shared)


def opening(body: AccountCreate) -> Order:
    """The saga that opens it. Name and metadata stay in the account's row."""
    exponent(body.base_currency)
    request = OpenAccountRequest(
        id=body.id,
        user_uuid=body.user_uuid,
        type=body.type,
        base_currency=body.base_currency,
        initial_balance_minor=minor_units(body.initial_balance, body.base_currency),
    )
    return Order(
        saga_type="open_account",
        request=request,
        summary=f"open {body.type} account …{body.id[-4:]} with {request.initial_balance}",
        location=f"/v2/accounts/{body.id}",
        kept={"name": body.name, "metadata": body.metadata},
        row=lambda tenant_id: Account(
            id=body.id,
            tenant_id=tenant_id,
            user_uuid=body.user_uuid,
            name=body.name,
            type=body.type,
            status="pending",
            base_currency=body.base_currency,
            account_metadata=body.metadata,
        ),
    )


def _view(row: Account, balances: list[LedgerAccount], shared: Services) -> AccountView:
    posted_minor, available_minor = _base_balance(row, balances)
    workflow_id = f"open_account/{row.id}"
    return AccountView.model_validate(
        row.model_dump()
        | {
            "uuid": row.id,
            "balance": minor_to_decimal(posted_minor, row.base_currency),
            "balance_minor": posted_minor,
            "available_balance": minor_to_decimal(available_minor, row.base_currency),
            "available_balance_minor": available_minor,
            "frozen": row.status == "frozen",
            "metadata": row.account_metadata,
            "workflow_id": workflow_id,
            "workflow_url": shared.run_url(workflow_id),
        }
    )


def _base_balance(row: Account, balances: list[LedgerAccount]) -> tuple[int, int]:
    for one in balances:
        if one.asset_code == row.base_currency:
            posted_minor = one.credits_posted - one.debits_posted
            return posted_minor, posted_minor - one.debits_pending
    return 0, 0


def _balance(row: LedgerAccount) -> AssetBalance:
    posted_minor = row.credits_posted - row.debits_posted
    return asset_balance(
        row.asset_code, posted_minor=posted_minor, reserved_minor=row.debits_pending
    )

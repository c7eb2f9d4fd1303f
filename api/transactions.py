"""Transactions: the statement of an account, or of all; from the books, so it is what happened."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Select

from api.accounts import OwnAccount
from api.auth import Allowed, Caller
from api.dependencies import Session, Shared
from api.errors import NotFound
from api.paging import Pages, another_list
from api.shapes import Data, Page
from api.transaction_shapes import Status, TransactionView, payment_view, transaction_view
from domain.ledger import ledger_account_id
from storage.listing import Listed, find_own
from storage.payment_tables import Payment
from storage.statements import (
    OF_ENTRIES,
    StatementLine,
    behind,
    find_line,
    line_of_run,
    lines_of_account,
    lines_of_tenant,
)
from storage.views import PAYMENT_ORDER, PAYMENTS, payments_of

OF_PENDING = ("accepted", "created", "held", "pending")
OF_FAILED = ("failed", "expired")
LINE_ID = re.compile(
    r"(?P<account>[A-Za-z0-9_.-]{1,64})\.(?P<asset>[A-Z0-9]{2,8})\.(?P<version>\d{1,18})\Z",
    re.ASCII,
)

router = APIRouter(tags=["transactions"])
Reader = Annotated[
    Caller, Depends(Allowed("read", "transactions.read", "accounts.read", "accounts.manage"))
]


class Statements:
    """Answers with a page of lines; or of payments that are not, or never will be, in the books."""

    def __init__(
        self,
        session: Session,
        shared: Shared,
        pages: Pages,
        asset_code: Annotated[str | None, Query(pattern=r"^[A-Z0-9]{2,8}$")] = None,
        status: Annotated[
            Status | None,
            Query(description="`pending` and `failed` are deposits and withdrawals that are so"),
        ] = None,
    ) -> None:
        self._session = session
        self._shared = shared
        self._pages = pages
        self._asset_code = asset_code
        self._status = status

    async def of_tenant(self, tenant_id: str) -> Page[TransactionView]:
        if self._status in ("pending", "failed"):
            return await self._payments(payments_of(tenant_id))
        wanted = self._pages.wanted(OF_ENTRIES)
        listed = await lines_of_tenant(
            self._session, tenant_id, wanted, asset_code=self._asset_code
        )
        return await self._lines(listed)

    async def of_account(self, tenant_id: str, account_id: str) -> Page[TransactionView]:
        if self._status in ("pending", "failed"):
            return await self._payments(
                payments_of(tenant_id).where(PAYMENTS.c.account_id == account_id)
            )
        try:
            listed = await lines_of_account(
                self._session, account_id, self._pages.wanted(), asset_code=self._asset_code
            )
        except ValueError:
            raise another_list() from None
        return await self._lines(listed)

    async def _lines(self, listed: Listed[StatementLine]) -> Page[TransactionView]:
        of = await behind(self._session, listed.rows)
        return self._pages.show(listed, lambda line: transaction_view(line, of, self._shared))

    async def _payments(self, query: Select[Payment]) -> Page[TransactionView]:
        states = OF_PENDING if self._status == "pending" else OF_FAILED
        query = query.where(PAYMENTS.c.status.in_(states))
        if self._asset_code is not None:
            query = query.where(PAYMENTS.c.asset_code == self._asset_code)
        listed = await self._pages.find(self._session, query, PAYMENT_ORDER)
        return self._pages.show(listed, lambda payment: payment_view(payment, self._shared))


Statement = Annotated[Statements, Depends()]


@router.get("/transactions")
async def list_transactions(caller: Reader, statement: Statement) -> Page[TransactionView]:
    """List what moved on all accounts, the newest first."""
    return await statement.of_tenant(caller.tenant_id)


@router.get("/accounts/{account_id}/transactions")
async def list_account_transactions(
    caller: Reader, account: OwnAccount, statement: Statement
) -> Page[TransactionView]:
    """List what moved on one account, the newest first."""
    return await statement.of_account(caller.tenant_id, account.id)


@router.get("/transactions/{transaction_id}")
async def get_transaction(
    transaction_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[TransactionView]:
    """Get one transaction. A deposit or a withdrawal is found from the moment it is accepted."""
    payment = await find_own(session, Payment, transaction_id, caller.tenant_id)
    if payment is not None:
        line = await line_of_run(session, payment.workflow_id, payment.account_id)
        return Data(data=payment_view(payment, shared, line))
    if named := LINE_ID.match(transaction_id):
        ledger_account = ledger_account_id(named["account"], named["asset"])
        line = await find_line(
            session, ledger_account, int(named["version"]), tenant_id=caller.tenant_id
        )
        if line is not None:
            return Data(data=transaction_view(line, await behind(session, [line]), shared))
    raise NotFound("transaction", transaction_id)

"""Transfers: start one, follow it, list them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, JsonValue
from sqlalchemy import ColumnElement, Select
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts import OwnAccount
from api.auth import Allowed, Caller
from api.dependencies import Services, Session, Shared, Wait
from api.errors import NotFound
from api.fields import AccountUuid, Amount, AssetCode, Body, Id, Metadata
from api.paging import Pages
from api.shapes import Data, Page, Timestamp, View
from api.starting import Order, Starting, business_id
from domain.catalogue import JsonObject
from domain.catalogue.transfer import Fees
from domain.money import minor_to_decimal
from domain.sandbox import Faults
from domain.transfer import TransferRequest
from storage.listing import find_own
from storage.tables import SagaRun, Transfer
from storage.views import TRANSFER_ORDER, TRANSFERS, transfers_of

EXPIRES_IN_S_MAX = 2_592_000

router = APIRouter(tags=["transfers"])
Reader = Annotated[Caller, Depends(Allowed("read", "transfers.read", "transfers.manage"))]
Writer = Annotated[Caller, Depends(Allowed("write", "transfers.manage"))]


class TransferCreate(Body):
    """A transfer to start. `reference` and `metadata` are told in its events."""

    id: Id
    from_account: AccountUuid
    to_account: AccountUuid
    amount: Amount
    asset_code: AssetCode = "USD"
    reference: Annotated[str | None, Field(max_length=255)] = None
    metadata: Metadata = Field(default_factory=dict)
    rail: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")] = "internal"
    expires_in_s: Annotated[int | None, Field(ge=1, le=EXPIRES_IN_S_MAX)] = None
    workflow_enabled: Annotated[
        bool, Field(description="for the product's clients: every transfer is a workflow")
    ] = True
    sandbox: Annotated[
        dict[str, Faults], Field(description="tell a sandbox of an outside party to misbehave")
    ] = Field(default_factory=dict)


Status = Literal["pending", "completed", "failed", "expired", "reversed"]
# The exact states that each word stands for. Anything else that is not settled is pending, too.
STATES_OF: dict[Status, tuple[str, ...]] = {
    "pending": ("accepted", "created", "held", "submitted", "pending"),
    "completed": ("completed",),
    "failed": ("failed",),
    "expired": ("expired",),
    "reversed": ("reversed",),
}
STATUS_OF: dict[str, Status] = {
    state: status for status, states in STATES_OF.items() for state in states
}


class TransferView(View):
    """A transfer. `state` goes accepted, created, held, then to how it ended; `status` is that in
    the words that clients know."""

    id: str
    uuid: str
    from_account: str
    to_account: str
    amount: str
    amount_minor: int
    asset_code: str
    status: Status
    state: str
    reference: str | None
    rail: str
    fees: Fees
    metadata: JsonObject
    failure: dict[str, JsonValue] | None
    reversed_by: str | None
    workflow_id: str
    workflow_url: str
    created_at: Timestamp
    expires_at: Timestamp | None
    completed_at: Timestamp | None


@router.post("/transfers", status_code=202, responses={201: {"model": Data[TransferView]}})
async def create_transfer(
    body: TransferCreate, caller: Writer, shared: Shared, starting: Starting, wait: Wait
) -> Data[TransferView]:
    """Start a transfer.

    Answered 202 once it is accepted, which it is for good. With `?wait=SECONDS` and an end within
    them: 201 if it completed, 200 if it did not; `status` and `failure` say what came of it.
    """

    async def render(session: AsyncSession, run: SagaRun) -> Data[TransferView]:
        row = await session.get_one(Transfer, business_id(run))
        return Data(data=transfer_view(row, shared))

    return await starting.start(transferring(body), Data[TransferView], render, wait=wait)


async def own_transfer(transfer_id: str, caller: Reader, session: Session) -> Transfer:
    row = await find_own(session, Transfer, transfer_id, caller.tenant_id)
    if row is None:
        raise NotFound("transfer", transfer_id)
    return row


OwnTransfer = Annotated[Transfer, Depends(own_transfer)]


def on_either_side(account_id: str) -> tuple[ColumnElement[bool], ...]:
    return (TRANSFERS.c.from_account == account_id, TRANSFERS.c.to_account == account_id)


def wanted_transfers(
    caller: Reader,
    status: Annotated[Status | None, Query()] = None,
    asset_code: Annotated[str | None, Query(pattern=r"^[A-Z0-9]{2,8}$")] = None,
) -> Select[Transfer]:
    query = transfers_of(caller.tenant_id)
    if status is not None:
        query = query.where(TRANSFERS.c.status.in_(STATES_OF[status]))
    if asset_code is not None:
        query = query.where(TRANSFERS.c.asset_code == asset_code)
    return query


Wanted = Annotated[Select[Transfer], Depends(wanted_transfers)]


@router.get("/transfers")
async def list_transfers(
    wanted: Wanted,
    session: Session,
    shared: Shared,
    pages: Pages,
    account: Annotated[str | None, Query(max_length=64, description="either side")] = None,
) -> Page[TransferView]:
    """List transfers, the newest first."""
    if account is None:
        listed = await pages.find(session, wanted, TRANSFER_ORDER)
    else:
        listed = await pages.find(session, wanted, TRANSFER_ORDER, either=on_either_side(account))
    return pages.show(listed, lambda row: transfer_view(row, shared))


@router.get("/accounts/{account_id}/transfers")
async def list_account_transfers(
    wanted: Wanted, account: OwnAccount, session: Session, shared: Shared, pages: Pages
) -> Page[TransferView]:
    """List the transfers from or to one account, the newest first."""
    either = on_either_side(account.id)
    listed = await pages.find(session, wanted, TRANSFER_ORDER, either=either)
    return pages.show(listed, lambda row: transfer_view(row, shared))


@router.get("/transfers/{transfer_id}")
async def get_transfer(transfer: OwnTransfer, shared: Shared) -> Data[TransferView]:
    """Get one transfer."""
    return Data(data=transfer_view(transfer, shared))


def transferring(body: TransferCreate) -> Order:
    """The saga that moves the money. Reference and metadata stay in the transfer's row."""
    request = TransferRequest(
        id=body.id,
        from_account=body.from_account,
        to_account=body.to_account,
        amount=body.amount,
        asset_code=body.asset_code,
        rail=body.rail,
        expires_in_s=body.expires_in_s,
        sandbox=body.sandbox,
    )
    return Order(
        saga_type="transfer",
        request=request,
        summary=f"transfer {request.money} …{body.from_account[-4:]} → …{body.to_account[-4:]}",
        location=f"/v2/transfers/{body.id}",
        kept={"reference": body.reference, "metadata": body.metadata},
        accounts={"from_account": body.from_account, "to_account": body.to_account},
        row=lambda tenant_id: Transfer(
            id=body.id,
            tenant_id=tenant_id,
            from_account=body.from_account,
            to_account=body.to_account,
            amount_minor=request.money.amount_minor,
            asset_code=body.asset_code,
            status="accepted",
            reference=body.reference,
            rail=body.rail,
            transfer_metadata=body.metadata,
            workflow_id=f"transfer/{body.id}",
        ),
    )


def transfer_view(row: Transfer, shared: Services) -> TransferView:
    fees: dict[str, Any] = {
        "transfer_fee": minor_to_decimal(row.fee_minor, row.asset_code),
        "transfer_fee_minor": row.fee_minor,
        "currency": row.asset_code,
    }
    return TransferView.model_validate(
        row.model_dump()
        | {
            "uuid": row.id,
            "amount": minor_to_decimal(row.amount_minor, row.asset_code),
            "status": STATUS_OF.get(row.status, "pending"),
            "state": row.status,
            "fees": fees,
            "metadata": row.transfer_metadata,
            "workflow_url": shared.run_url(row.workflow_id),
        }
    )

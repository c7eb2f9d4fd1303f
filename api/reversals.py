"""Take a transfer back: cancel one that is under way, reverse one that is done."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Session, Shared, Wait
from api.errors import NotFound
from api.fields import Body, Id
from api.orders import request_of, saga_named, without_unset
from api.shapes import Data, Told
from api.starting import Order, Starting, business_id
from api.transfers import TransferView, transfer_view
from domain.errors import TransferNotReversible
from runtime import run_control
from storage.listing import find_own
from storage.tables import SagaRun, Transfer

router = APIRouter(prefix="/transfers/{transfer_id}", tags=["transfers"])
Writer = Annotated[Caller, Depends(Allowed("write", "transfers.manage"))]


class ReverseOrder(Body):
    """Why, in words, and who says so. `refund_fee` gives the sender the fee back, too."""

    id: Id
    reason: Annotated[str, Field(min_length=1, max_length=500, examples=["sent by mistake"])]
    authorized_by: Annotated[str | None, Field(min_length=1, max_length=255)] = None
    reason_code: Annotated[str | None, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] = None
    refund_fee: bool = False


async def original(transfer_id: str, caller: Writer, session: Session) -> Transfer:
    row = await find_own(session, Transfer, transfer_id, caller.tenant_id)
    if row is None:
        raise NotFound("transfer", transfer_id)
    return row


Original = Annotated[Transfer, Depends(original)]


class Reversals:
    """Starts the saga that pays a transfer back, for one request."""

    def __init__(self, shared: Shared, starting: Starting) -> None:
        self._shared = shared
        self._starting = starting

    async def start(
        self, original: Transfer, body: ReverseOrder, wait: float | None
    ) -> Data[TransferView]:
        async def render(session: AsyncSession, run: SagaRun) -> Data[TransferView]:
            row = await session.get_one(Transfer, business_id(run))
            return Data(data=transfer_view(row, self._shared))

        order = _order(original, body)
        return await self._starting.start(order, Data[TransferView], render, wait=wait)


Reversing = Annotated[Reversals, Depends()]


@router.post("/cancel", status_code=202)
async def cancel_transfer(
    transfer: Original, session: Session, shared: Shared
) -> Told[TransferView]:
    """Ask a transfer to turn back. 409 if it has ended; once settled it can only be reversed."""
    run = await session.get_one(SagaRun, transfer.workflow_id)
    await run_control.cancel(shared.temporal, run)
    view = transfer_view(transfer, shared)
    return Told(data=view, message=f"transfer {transfer.id} is asked to turn back")


@router.post("/reverse", status_code=202, responses={201: {"model": Data[TransferView]}})
async def reverse_transfer(
    body: ReverseOrder, caller: Writer, original: Original, reversing: Reversing, wait: Wait
) -> Data[TransferView]:
    """Pay a completed transfer back, if the recipient still has the money.

    The reversal is a transfer of its own, the other way round: it is the answer.
    """
    return await reversing.start(original, body, wait)


def _order(original: Transfer, body: ReverseOrder) -> Order:
    given = {"id": body.id, "transfer_uuid": original.id, "refund_fee": body.refund_fee}
    if original.status != "completed":
        text = f"transfer {original.id} is {original.status}, not completed"
        raise TransferNotReversible(text, transfer_uuid=original.id, status=original.status)
    saga = saga_named("reverse_transfer")
    return Order(
        saga_type=saga.name,
        request=request_of(saga, given | without_unset(reason_code=body.reason_code)),
        summary=f"reverse transfer …{original.id[-4:]}",
        location=f"/v2/transfers/{body.id}",
        kept=without_unset(reason=body.reason, authorized_by=body.authorized_by),
        row=lambda tenant_id: Transfer(
            id=body.id,
            tenant_id=tenant_id,
            from_account=original.to_account,
            to_account=original.from_account,
            amount_minor=original.amount_minor,
            asset_code=original.asset_code,
            reference=original.reference,
            workflow_id=f"{saga.name}/{body.id}",
        ),
    )

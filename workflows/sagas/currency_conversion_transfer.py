"""Currency conversion transfer: convert an amount, then transfer what came out of it.

    convert ──► transfer ★ (a saga of its own)
       │            │
    convert back ◄─ failed

The transfer is the pivot: it undoes itself if it fails, and then the conversion is undone here.
"""

from typing import Any

from temporalio import workflow

from activities.ports import ConversionActivities
from domain.money import minor_to_decimal
from domain.transfer import ConversionTransferRequest, TransferRequest
from workflows.saga import CHILD, Saga
from workflows.steps import Step, named

CONVERT = Step(
    ConversionActivities.convert,
    compensation=ConversionActivities.convert_back,
    outside=True,
    attempts_max=5,
)
TRANSFER = named(CHILD, "transfer")

STEPS = (CONVERT, TRANSFER)
EXAMPLE = ConversionTransferRequest(
    from_account="0199c5a2-0000-7000-8000-000000000001",
    to_account="0199c5a2-0000-7000-8000-000000000002",
    amount="100.00",
    from_asset="USD",
    to_asset="EUR",
)


@workflow.defn(name="currency_conversion_transfer")
class CurrencyConversionTransfer:
    @workflow.run
    async def run(self, request: ConversionTransferRequest) -> dict[str, Any]:
        async with Saga(STEPS, subject=("conversion_transfer", request.id)) as saga:
            conversion = await saga.run(CONVERT, request)
            transfer = TransferRequest(
                id=request.id,
                from_account=request.from_account,
                to_account=request.to_account,
                amount=minor_to_decimal(conversion.transferable_minor, conversion.bought_asset),
                asset_code=conversion.bought_asset,
                rail=request.rail,
                sandbox=request.sandbox,
            )
            await saga.child("transfer", transfer, step=TRANSFER)
            saga.result = {"transfer_uuid": transfer.id, "rate": conversion.rate}
        return saga.result

"""A transfer by somebody who put a wait before the first step, for no bad reason."""

from datetime import timedelta
from typing import Any

from temporalio import workflow

from domain.transfer import TransferRequest
from workflows.sagas.transfer import Transfer


@workflow.defn(name="transfer")
class PatientTransfer(Transfer):
    @workflow.run
    async def run(self, transfer: TransferRequest) -> dict[str, Any]:
        await workflow.sleep(timedelta(seconds=1))
        return await super().run(transfer)

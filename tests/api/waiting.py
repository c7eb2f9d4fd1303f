"""A saga that waits for people. In a module of its own: workflows run in a sandbox."""

from datetime import timedelta
from typing import Any

from temporalio import workflow

from domain.saga import SagaRequest
from workflows.saga import Saga


@workflow.defn(name="asks")
class Asks:
    """A saga that waits for a person."""

    def __init__(self) -> None:
        self._nudges = 0

    @workflow.signal
    def nudge(self, times: int) -> None:
        self._nudges += times

    @workflow.update
    def double(self, number: int) -> int:
        return 2 * number

    @workflow.run
    async def run(self, request: SagaRequest) -> dict[str, Any]:
        async with Saga((), subject=("asks", request.id)) as saga:
            approval = await saga.approval("release", within=timedelta(minutes=1))
            saga.result = {"by": approval.by, "nudges": self._nudges}
        return saga.result

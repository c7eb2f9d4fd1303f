"""Transaction watch: look again and again for what nobody has judged, and have it judged.

    look ──► (transaction_monitoring, a saga) ──► sleep ──► look …
      │                                             │
     end ◄──────────────── cancelled ◄──────────────┘

Idle it is one timer. It continues as new long before its history is long.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow

from activities.ports import MonitoringActivities
from domain.monitoring import MonitoringRequest, WatchRequest
from workflows.saga import Saga
from workflows.steps import Step

LOOK = Step(MonitoringActivities.find_unjudged)

STEPS = (LOOK,)
EXAMPLE = WatchRequest(every_s=0.1, rounds=2)

ROUNDS_IN_ONE_RUN = 100


@workflow.defn(name="transaction_watch")
class PostingWatch:
    @workflow.run
    async def run(self, request: WatchRequest) -> dict[str, Any]:
        every = timedelta(seconds=request.every_s)
        async with Saga(STEPS, subject=("watch", request.id)) as saga:
            for _ in range(ROUNDS_IN_ONE_RUN):
                request = await _round(saga, request)
                if request.rounds_done == request.rounds:
                    break
                await saga.sleep(every, summary="until the next look")
            else:
                saga.continue_as_new(request)
            saga.result = {"rounds": request.rounds_done}
        return saga.result


async def _round(saga: Saga, request: WatchRequest) -> WatchRequest:
    number = request.rounds_done + 1
    look = await saga.look(LOOK, request, name=f"{LOOK.name}-{number}")
    looked_at: datetime | None = look.looked_at
    if look.found and not await _judge(saga, request, number):
        looked_at = request.looked_at  # The next look must find what is left.
    return replace(request, rounds_done=number, looked_at=looked_at)


async def _judge(saga: Saga, request: WatchRequest, number: int) -> bool:
    """Whether all was judged that the look found."""
    judging = MonitoringRequest(id=f"{request.id}-{number}", on_violation=request.on_violation)
    judged = await saga.ask("transaction_monitoring", judging)
    return judged.failure is None and not judged.result["more"]

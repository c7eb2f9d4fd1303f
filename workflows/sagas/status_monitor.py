"""Status monitor: ask the components again and again, and tell when one changes its health.

    ask ──► (anything new?) ──► record ──► sleep ──► ask …
     │                                       │
    end ◄──────────── cancelled ◄────────────┘

Idle it is one timer. Only edges are told: an incident has one id from the first of them until all
is well again. It continues as new long before its history is long.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow

from activities.ports import StatusActivities
from domain.status import StatusLook, StatusMonitorRequest, StatusReport, changes, worst
from workflows.saga import Saga
from workflows.steps import Step

ASK = Step(StatusActivities.ask_components, outside=True)
RECORD = Step(StatusActivities.record_changes)

STEPS = (ASK, RECORD)
EXAMPLE = StatusMonitorRequest(
    components=("database", "relay"), degraded_after_ms={"database": 0}, every_s=0.1, rounds=2
)

ROUNDS_IN_ONE_RUN = 100


@workflow.defn(name="status_monitor")
class StatusMonitor:
    @workflow.run
    async def run(self, request: StatusMonitorRequest) -> dict[str, Any]:
        every = timedelta(seconds=request.every_s)
        due_at = workflow.now()
        async with Saga(STEPS, subject=("monitor", request.id)) as saga:
            for _ in range(ROUNDS_IN_ONE_RUN):
                request = await _round(saga, request, due_at)
                if request.rounds_done == request.rounds:
                    break
                due_at = workflow.now() + every
                await saga.sleep(every, summary="until the next look")
            else:
                saga.continue_as_new(request)
            saga.result = {"rounds": request.rounds_done, "statuses": request.known}
        return saga.result


async def _round(
    saga: Saga, request: StatusMonitorRequest, due_at: datetime
) -> StatusMonitorRequest:
    number = request.rounds_done + 1
    late_ms = (workflow.now() - due_at) // timedelta(milliseconds=1)
    measured = await saga.look(ASK, StatusLook(request, late_ms), name=f"{ASK.name}-{number}")
    known = request.known | {one.component: one.status for one in measured}
    if changed := changes(request.known, measured):
        report = StatusReport(tuple(changed), worst(known.values()))
        await saga.run(RECORD, report, name=f"{RECORD.name}-{number}")
    return replace(request, rounds_done=number, known=known)

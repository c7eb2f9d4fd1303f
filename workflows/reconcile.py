"""Reconcile: tell the missing end of sagas that were ended from outside.

Kept going by the Temporal Schedule `reconcile`, one run at a time: each sweeps for some minutes
and ends, so the list of runs in the UI stays a list of sagas.
"""

from datetime import timedelta

from temporalio import workflow

from activities.ports import ReconcileActivities
from domain.reconcile import ReconcileRequest, Swept

SWEEP_START_TO_CLOSE = timedelta(minutes=10)
SWEEP_HEARTBEAT = timedelta(seconds=30)


@workflow.defn(name="reconcile")
class Reconcile:
    @workflow.run
    async def run(self, request: ReconcileRequest) -> Swept:
        total = Swept()
        for number in range(1, request.sweeps + 1):
            swept = await workflow.execute_activity_method(
                ReconcileActivities.sweep_closed_runs,
                request,
                start_to_close_timeout=SWEEP_START_TO_CLOSE,
                heartbeat_timeout=SWEEP_HEARTBEAT,
                summary=f"sweep {number} of {request.sweeps}",
            )
            total = Swept(total.looked_at + swept.looked_at, total.told + swept.told)
            workflow.set_current_details(
                f"sweep {number} of {request.sweeps}: {total.told} ends told so far"
            )
            if number < request.sweeps:
                await workflow.sleep(request.every_s, summary="until the next sweep")
        return total

"""The Temporal Schedules of an installation: made when a worker starts, the same ones each time."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from domain.reconcile import ReconcileRequest
from runtime.settings import Settings
from runtime.temporal import SAGA_QUEUE
from workflows.reconcile import Reconcile

RECONCILE = "reconcile"
# Each run sweeps for so long: the list of runs in the UI stays a list of sagas.
RUN_FOR = timedelta(minutes=10)


async def ensure_schedules(temporal: Client, settings: Settings) -> None:
    """Make them, or bring them up to date. Whether a person has paused one stays as it is."""
    wanted = reconcile_schedule(settings.reconcile_interval)

    def update(found: ScheduleUpdateInput) -> ScheduleUpdate:
        wanted.state = found.description.schedule.state
        return ScheduleUpdate(wanted)

    try:
        await temporal.create_schedule(RECONCILE, wanted)
    except ScheduleAlreadyRunningError:
        await temporal.get_schedule_handle(RECONCILE).update(update)


def reconcile_schedule(every: timedelta) -> Schedule:
    """While one run sweeps no other is started; when it ends the next one follows."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            Reconcile.run,
            ReconcileRequest(sweeps=RUN_FOR // every, every_s=every.total_seconds()),
            id=RECONCILE,
            task_queue=SAGA_QUEUE,
            static_summary="tell the missing end of sagas that were ended from outside",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )

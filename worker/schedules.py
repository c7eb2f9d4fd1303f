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
from runtime.temporal import DELIVERY_QUEUE, SAGA_QUEUE
from workflows.prune import Prune
from workflows.reconcile import Reconcile

RECONCILE_SCHEDULE = "reconcile"
RETENTION_SCHEDULE = "retention"
# Each run of `reconcile` sweeps for so long: the list of runs in the UI stays a list of sagas.
RECONCILE_FOR = timedelta(minutes=10)
# A run that is still at work is enough, and of those that were missed only the last matters.
ONE_AT_A_TIME = SchedulePolicy(
    overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)
)


async def ensure_schedules(temporal: Client, settings: Settings) -> None:
    await ensure_schedule(
        temporal, RECONCILE_SCHEDULE, reconcile_schedule(settings.reconcile_interval)
    )
    await ensure_schedule(temporal, RETENTION_SCHEDULE, retention_schedule(settings.prune_interval))


async def ensure_schedule(temporal: Client, name: str, wanted: Schedule) -> None:
    """Make it, or bring the one that is there up to date; paused, it stays paused."""

    def update(found: ScheduleUpdateInput) -> ScheduleUpdate:
        wanted.state = found.description.schedule.state
        return ScheduleUpdate(wanted)

    try:
        await temporal.create_schedule(name, wanted)
    except ScheduleAlreadyRunningError:
        await temporal.get_schedule_handle(name).update(update)


def reconcile_schedule(every: timedelta) -> Schedule:
    """While one run sweeps no other is started; when it ends the next one follows."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            Reconcile.run,
            ReconcileRequest(sweeps=RECONCILE_FOR // every, every_s=every.total_seconds()),
            id="reconcile",
            task_queue=SAGA_QUEUE,
            static_summary="tell the missing end of sagas that were ended from outside",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=ONE_AT_A_TIME,
    )


def retention_schedule(every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            Prune.run,
            id="prune",
            task_queue=DELIVERY_QUEUE,
            static_summary="delete what is past its retention",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)], jitter=every / 10),
        policy=ONE_AT_A_TIME,
    )

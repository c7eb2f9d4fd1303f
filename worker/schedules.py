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
from runtime.temporal import SAGA_QUEUE
from workflows.reconcile import Reconcile

RECONCILE = "reconcile"
# Only how soon the next one follows: while one runs, no other is started.
RECONCILE_EVERY = timedelta(seconds=20)


async def ensure_schedules(temporal: Client) -> None:
    """Make them, or bring them up to date. Whether a person has paused one stays as it is."""
    wanted = reconcile_schedule()
    try:
        await temporal.create_schedule(RECONCILE, wanted)
    except ScheduleAlreadyRunningError:
        await temporal.get_schedule_handle(RECONCILE).update(_kept_state)


def reconcile_schedule() -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            Reconcile.run,
            ReconcileRequest(),
            id=RECONCILE,
            task_queue=SAGA_QUEUE,
            static_summary="tell the missing end of sagas that were ended from outside",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=RECONCILE_EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )


def _kept_state(found: ScheduleUpdateInput) -> ScheduleUpdate:
    schedule = reconcile_schedule()
    schedule.state = found.description.schedule.state
    return ScheduleUpdate(schedule)

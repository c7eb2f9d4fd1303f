"""Forget what is old: started by a Temporal Schedule, see worker/schedules.py."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.ports import RetentionActivities
from domain.retention import PruneRequest, Pruning

PRUNE_START_TO_CLOSE = timedelta(minutes=30)
PRUNE_HEARTBEAT = timedelta(seconds=60)


@workflow.defn(name="prune")
class Prune:
    @workflow.run
    async def run(self) -> dict[str, int]:
        rows: dict[str, int] = {}
        for what in Pruning:
            pruned = await workflow.execute_activity_method(
                RetentionActivities.prune,
                PruneRequest(what),
                start_to_close_timeout=PRUNE_START_TO_CLOSE,
                heartbeat_timeout=PRUNE_HEARTBEAT,
                # The next run of the schedule is another try.
                retry_policy=RetryPolicy(maximum_attempts=5),
                summary=f"old {what}",
            )
            rows |= pruned.rows
        return rows

"""Retry one delivery on its schedule until it is settled, however many days that takes.

Path of an event, 6 of 6. Before: runtime/http.py, whose first answer did not settle it.

One activity, retried by the server: it raises with the delay that the schedule and the receiver
ask for, so the history stays at eleven events however many attempts it takes. The attempts are
rows in our database; the engine keeps the last only.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.ports import WebhookActivities
from domain.batch import RetryRequest

# An exchange takes 30 s at most, but may wait long for one of its endpoint's places.
START_TO_CLOSE = timedelta(minutes=15)
HEARTBEAT = timedelta(seconds=10)
# A crash or a timeout carries no delay of ours: then this policy stands in for the schedule.
STAND_IN = RetryPolicy(
    initial_interval=timedelta(seconds=5),
    backoff_coefficient=6.0,
    maximum_interval=timedelta(hours=24),
)


@workflow.defn(name="retry_delivery")
class RetryDelivery:
    @workflow.run
    async def run(self, request: RetryRequest) -> str:
        return await workflow.execute_activity_method(
            WebhookActivities.attempt_delivery,
            request,
            activity_id="deliver",
            start_to_close_timeout=START_TO_CLOSE,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=STAND_IN,
            summary=request.delivery_id,
        )

"""Deliver a claimed batch of events for the first time.

Path of an event, 3 of 6. Before: worker/relay.py, which claimed the batch under this workflow's
id. Next: activities/webhooks.py, which signs and POSTs.

One workflow for all that was waiting: in quiet traffic that is one event, in a burst hundreds.
What is to be retried is given its own workflow by the activity, at once and not when the slowest
receiver of the batch has answered; so the history has eleven events, whatever happens.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.ports import WebhookActivities
from domain.batch import Claimed

# The longest exchange is 30 s; a batch POSTs concurrently, but per endpoint only so many at once.
SEND_START_TO_CLOSE = timedelta(minutes=15)
SEND_HEARTBEAT = timedelta(seconds=10)


@workflow.defn(name="deliver_events")
class DeliverEvents:
    @workflow.run
    async def run(self, claim: Claimed) -> dict[str, int]:
        sent = await workflow.execute_activity_method(
            WebhookActivities.send_claimed,
            claim,
            activity_id="send",
            start_to_close_timeout=SEND_START_TO_CLOSE,
            heartbeat_timeout=SEND_HEARTBEAT,
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
            ),
            summary=f"{claim.size} deliveries",
        )
        return {
            "succeeded": sent.succeeded,
            "settled": sent.settled,
            "retrying": sent.retrying,
            "parked": sent.parked,
        }

"""Warn of an API key's end: 30, 7 and 1 days before it, each time once.

    look ──► (until the next mark) ──► look ──► … ──► the last day
      ▲             │
      └──────── look_again: rotated, or revoked

One workflow for each key that ends, id `api_key/{id}/expiry`; between the marks it is one timer.
The row of the key says what is so, and what was told of it: so looking twice is looking once.
"""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.ports import KeyExpiryActivities
from domain.key_expiry import KeyExpiryRequest

LOOK_START_TO_CLOSE = timedelta(seconds=30)
UNTIL_IT_WORKS = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)
)


@workflow.defn(name="api_key_expiry")
class ApiKeyExpiry:
    @workflow.init
    def __init__(self, _: KeyExpiryRequest) -> None:
        self._look_again = False

    @workflow.signal(description="The key was made, rotated or revoked: look at it.")
    def look_again(self) -> None:
        self._look_again = True

    @workflow.run
    async def run(self, request: KeyExpiryRequest) -> str:
        while True:
            self._look_again = False
            next_at = await workflow.execute_activity_method(
                KeyExpiryActivities.warn_of_expiry,
                request,
                start_to_close_timeout=LOOK_START_TO_CLOSE,
                retry_policy=UNTIL_IT_WORKS,
                summary="look",
            )
            if next_at is not None:
                await self._wait_until(next_at)
            elif not self._look_again:
                return "nothing to come"

    async def _wait_until(self, moment: datetime) -> None:
        workflow.set_current_details(f"the next mark is **{moment.isoformat(timespec='minutes')}**")
        left = max(moment - workflow.now(), timedelta())
        try:
            await workflow.wait_condition(
                lambda: self._look_again, timeout=left, timeout_summary="until the next mark"
            )
        except TimeoutError:
            return

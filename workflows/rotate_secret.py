"""Rotate an endpoint's signing secret: announce, let old and new sign side by side, end the old.

One workflow for each endpoint, id `endpoint/{id}/rotation`, open while secrets overlap. The row of
each secret says until when it signs, so the instant is exact however late this workflow is; the
workflow writes what happened, and destroys the text of what has expired. A roll back sends
`look_again`, and then there is nothing left to wait for.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.ports import RotationActivities
from domain.rotation import RotationRequest, RotationView

STEP_START_TO_CLOSE = timedelta(seconds=30)
UNTIL_IT_WORKS = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)
)


@workflow.defn(name="rotate_secret")
class RotateSecret:
    @workflow.init
    def __init__(self, _: RotationRequest) -> None:
        self._rotation: RotationView | None = None
        self._outcome = "nothing overlaps"
        self._look_again = False

    @workflow.run
    async def run(self, request: RotationRequest) -> str:
        while True:
            self._look_again = False
            self._rotation = await self._begin(request)
            self._show()
            if self._rotation is not None and await self._overlap_ends(self._rotation):
                self._outcome = await self._end(self._rotation)
            elif not self._look_again:
                return self._outcome

    @workflow.signal(description="A secret was rotated, or a rotation rolled back: look at it.")
    def look_again(self) -> None:
        self._look_again = True

    @workflow.query(description="The rotation that is under way.")
    def rotation(self) -> RotationView | None:
        return self._rotation

    async def _begin(self, request: RotationRequest) -> RotationView | None:
        return await workflow.execute_activity_method(
            RotationActivities.begin_rotation,
            request,
            start_to_close_timeout=STEP_START_TO_CLOSE,
            retry_policy=UNTIL_IT_WORKS,
            summary="announce",
        )

    async def _overlap_ends(self, rotation: RotationView) -> bool:
        """Wait for its end. False if the rotation changed meanwhile."""
        left = max(rotation.ends_at - workflow.now(), timedelta())
        try:
            await workflow.wait_condition(
                lambda: self._look_again, timeout=left, timeout_summary="old and new sign"
            )
        except TimeoutError:
            return True
        return False

    async def _end(self, rotation: RotationView) -> str:
        return await workflow.execute_activity_method(
            RotationActivities.end_rotation,
            rotation,
            start_to_close_timeout=STEP_START_TO_CLOSE,
            retry_policy=UNTIL_IT_WORKS,
            summary="end the old secret",
        )

    def _show(self) -> None:
        if self._rotation is None:
            workflow.set_current_details("nothing overlaps")
            return
        ends_at = self._rotation.ends_at.isoformat(timespec="seconds")
        workflow.set_current_details(f"old and new {self._rotation.kind} sign until **{ends_at}**")

"""Replay a window of events to one endpoint, at a pace that leaves room for fresh ones.

One workflow for each job, id `replay/{job id}`, of the lowest priority. The job's row says what is
so: whether it may go on, where it stands. Pausing, resuming and cancelling change the row and
send `look_again`; a lost signal only makes the workflow look later. Killed, terminated or reset,
it is started again and goes on from the row's cursor.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.ports import ReplayActivities
from domain.replay import (
    ENDED,
    ReplayBatch,
    ReplayProgress,
    ReplayRequest,
    ReplayState,
    look_delay,
    pace,
)

BATCH_START_TO_CLOSE = timedelta(seconds=60)
BATCH_HEARTBEAT = timedelta(seconds=10)
UNTIL_IT_WORKS = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
)


@workflow.defn(name="replay_events")
class ReplayEvents:
    @workflow.init
    def __init__(self, request: ReplayRequest) -> None:
        self._job_id = request.job_id
        self._progress: ReplayProgress | None = None
        self._looks = 0
        self._look_again = False

    @workflow.run
    async def run(self, request: ReplayRequest) -> ReplayProgress:
        try:
            progress = await self._ask_for(0)
            while progress.state not in ENDED:
                progress = await self._ask_for(progress.batch + 1)
                await self._wait_after(progress)
                if workflow.info().is_continue_as_new_suggested():
                    workflow.continue_as_new(request)
            return progress
        except (asyncio.CancelledError, ActivityError) as error:
            if is_cancelled_exception(error):
                await self._cancel(request)
            raise

    @workflow.signal(description="The job's row was changed: look at it.")
    def look_again(self) -> None:
        self._look_again = True

    @workflow.query(description="Where the job stands.")
    def progress(self) -> ReplayProgress | None:
        return self._progress

    async def _ask_for(self, number: int) -> ReplayProgress:
        self._look_again = False
        self._progress = await workflow.execute_activity_method(
            ReplayActivities.queue_batch,
            ReplayBatch(self._job_id, number),
            start_to_close_timeout=BATCH_START_TO_CLOSE,
            heartbeat_timeout=BATCH_HEARTBEAT,
            retry_policy=UNTIL_IT_WORKS,
            summary=f"batch {number}" if number else "where it stands",
        )
        self._show(self._progress)
        return self._progress

    async def _wait_after(self, progress: ReplayProgress) -> None:
        if progress.state in ENDED:
            return
        if progress.state is ReplayState.RUNNING and progress.waits_for is None:
            self._looks = 0
            # A second at most: a batch is what the rate allows in one.
            await workflow.sleep(pace(progress.queued, progress.per_second), summary="pace")
            return
        self._looks += 1
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._look_again,
                timeout=look_delay(self._looks),
                timeout_summary=progress.waits_for or progress.state.value,
            )
        if self._look_again:
            self._looks = 0

    async def _cancel(self, request: ReplayRequest) -> None:
        """Cancelled in Temporal: then the row must say so too."""
        self._progress = await workflow.execute_activity_method(
            ReplayActivities.cancel_replay,
            request,
            start_to_close_timeout=BATCH_START_TO_CLOSE,
            retry_policy=UNTIL_IT_WORKS,
        )
        self._show(self._progress)

    def _show(self, progress: ReplayProgress) -> None:
        waits = f", waiting: {progress.waits_for}" if progress.waits_for else ""
        workflow.set_current_details(
            f"**{progress.state.value}**{waits}\n\n"
            "| sent | of | again | for the first time | left out |\n|---|---|---|---|---|\n"
            f"| {progress.sent} | {progress.total} | {progress.requeued} | {progress.created} "
            f"| {progress.skipped} |"
        )

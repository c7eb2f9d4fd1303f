"""Recover one endpoint: probe until it answers, then let go what is parked for it.

However much is parked, this is the only open workflow for it. One activity, retried by the server:
each try is one probe or one batch, and raises with the delay until the next one. So the history
stays at eleven events, and the activity's last failure says how far it has come.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.ports import RECOVERY_HEARTBEAT, RECOVERY_START_TO_CLOSE, RecoveryActivities
from domain.batch import RecoveryRequest

# Only after a crash: every other wait is asked for by the activity.
STAND_IN = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=5))


@workflow.defn(name="recover_endpoint")
class RecoverEndpoint:
    @workflow.run
    async def run(self, request: RecoveryRequest) -> str:
        return await workflow.execute_activity_method(
            RecoveryActivities.recover_endpoint,
            request,
            activity_id="recover",
            start_to_close_timeout=RECOVERY_START_TO_CLOSE,
            heartbeat_timeout=RECOVERY_HEARTBEAT,
            retry_policy=STAND_IN,
            summary=request.endpoint_id,
        )

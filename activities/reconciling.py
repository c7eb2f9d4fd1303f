"""Look for runs that the engine closed and that never told their end, and tell it, once."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from activities.ports import ReconcileActivities, SagaActivities
from domain.reconcile import Closing, ReconcileRequest, Swept, end_from_outside
from domain.saga import SagaInfo, StepCall
from runtime.database import Database
from storage import reconciling
from storage.tables import SagaRun
from storage.types import utc_now

CLOSINGS = {
    WorkflowExecutionStatus.TERMINATED: Closing.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: Closing.TIMED_OUT,
    WorkflowExecutionStatus.FAILED: Closing.FAILED,
    WorkflowExecutionStatus.CANCELED: Closing.CANCELED,
}
# The engine cannot sort here, and need not: a run that was looked at twice is told once.
CLOSED = "SagaType IS NOT NULL AND ExecutionStatus IN ({statuses}) AND CloseTime >= '{since}'"


class VisibilityReconcileActivities(ReconcileActivities):
    """`planned` are the names of each saga type's steps: a run that never began tells them too."""

    def __init__(
        self,
        database: Database,
        temporal: Client,
        sagas: SagaActivities,
        planned: Mapping[str, Sequence[str]],
    ) -> None:
        self._database = database
        self._temporal = temporal
        self._sagas = sagas
        self._planned = planned

    @activity.defn
    async def sweep_closed_runs(self, request: ReconcileRequest) -> Swept:
        until = utc_now()
        since = await self._since(request)
        looked_at = told = 0
        async for page in self._closed(since, request.page_size):
            activity.heartbeat()
            looked_at += len(page)
            for execution in await self._not_ended(page):
                told += await self._reconcile(execution)
        await self._database.transact(lambda session: reconciling.move_cursor(session, until))
        return Swept(looked_at, told)

    async def _since(self, request: ReconcileRequest) -> datetime:
        async with self._database.read() as session:
            until = await reconciling.looked_until(session)
        return (until or utc_now()) - timedelta(seconds=request.overlap_s)

    async def _closed(
        self, since: datetime, page_size: int
    ) -> AsyncIterator[Sequence[WorkflowExecution]]:
        statuses = ", ".join(f"'{closing}'" for closing in Closing)
        query = CLOSED.format(statuses=statuses, since=since.isoformat())
        found = self._temporal.list_workflows(query, page_size=page_size)
        while True:
            await found.fetch_next_page()
            yield found.current_page or []
            if not found.next_page_token:
                return

    async def _not_ended(self, page: Sequence[WorkflowExecution]) -> list[WorkflowExecution]:
        async with self._database.read() as session:
            ended = await reconciling.ended_among(session, [execution.id for execution in page])
        return [execution for execution in page if execution.id not in ended]

    async def _reconcile(self, execution: WorkflowExecution) -> bool:
        """Tell the run's end, unless it goes on in a later run (a person reset it)."""
        latest = await self._temporal.get_workflow_handle(execution.id).describe()
        if latest.run_id != execution.run_id:
            return False
        assert execution.status is not None
        assert execution.close_time is not None
        async with self._database.read() as session:
            row = await reconciling.find_run(session, execution.id)
            held = await reconciling.held_by(session, execution.id)
        saga = await self._saga_of(execution, row)
        if saga is None:
            return False
        left = held if row is not None and row.started_at is not None else None
        end = end_from_outside(saga, CLOSINGS[execution.status], execution.close_time, left)
        await self._sagas.end_saga(StepCall(saga, "end", 0, end.ended_at, end))
        activity.logger.error(
            "saga.ended_from_outside",
            extra={
                "workflow_id": execution.id,
                "run_id": execution.run_id,
                "status": execution.status.name,
                "holds_left": len(held),
            },
        )
        return True

    async def _saga_of(self, execution: WorkflowExecution, row: SagaRun | None) -> SagaInfo | None:
        """None for a run of nobody: what was started by hand, past the API."""
        memo = await execution.memo()
        tenant_id = row.tenant_id if row else memo.get("tenant_id", "")
        async with self._database.read() as session:
            if not await reconciling.is_tenant(session, tenant_id):
                return None
        return SagaInfo(
            workflow_id=execution.id,
            run_id=execution.run_id,
            type=execution.workflow_type,
            tenant_id=tenant_id,
            initiated_by=row.initiated_by if row else memo.get("initiated_by", ""),
            steps=tuple(self._planned.get(execution.workflow_type, ())),
            started_at=(row and row.started_at) or execution.start_time,
            deadline_at=row.deadline_at if row else None,
            subject_type=row.subject_type if row else None,
            subject_id=row.subject_id if row else None,
            parent_id=row.parent_id if row else execution.parent_id,
        )

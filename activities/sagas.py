"""What the engine tells of every saga: that it began, a child's end, that it is stuck, its end."""

from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.ports import SagaActivities
from activities.steps import Steps, Unit, tell_story
from domain.saga import (
    NOTHING_TO_UNDO,
    ChildEnd,
    ChildUndone,
    Failure,
    Nothing,
    SagaEnd,
    SagaState,
    StepCall,
    Told,
    Undone,
)
from domain.story import ended, started, undone
from runtime.database import Database
from storage import reconciling, saga_log


class SqlSagaActivities(SagaActivities):
    def __init__(self, database: Database, steps: Steps) -> None:
        self._database = database
        self._steps = steps

    @activity.defn
    async def begin_saga(self, call: StepCall[Nothing]) -> None:
        async def work(session: AsyncSession) -> None:
            place = await saga_log.lock_run(session, call.saga)
            if place.begun or not place.is_ours:
                return
            unit = Unit(session, call.saga)
            unit.tell(started(call.saga))
            await saga_log.begin_run(session, call.saga)
            await tell_story(unit, place)

        await self._database.transact(work)

    @activity.defn
    async def record_child(self, call: StepCall[ChildEnd]) -> None:
        async def nothing_more(unit: Unit, call: StepCall[ChildEnd]) -> Any:
            return {"workflow_id": call.request.workflow_id}

        await self._steps.perform(call, nothing_more)

    @activity.defn
    async def record_child_undone(self, call: StepCall[ChildUndone]) -> Undone:
        async def reversed_already() -> Undone:
            return call.request.undone

        async def nothing_here(unit: Unit, call: StepCall[ChildUndone]) -> Undone:
            return NOTHING_TO_UNDO

        return await self._steps.undo_outside(call, reversed_already, nothing_here)

    @activity.defn
    async def mark_stuck(self, call: StepCall[Failure]) -> None:
        async def work(session: AsyncSession) -> None:
            place = await saga_log.lock_run(session, call.saga)
            if place.ended or not place.is_ours:
                return
            await saga_log.change_run(
                session,
                call.saga.workflow_id,
                state=SagaState.STUCK,
                failure={"step": call.request.step, "text": call.request.text},
            )

        await self._database.transact(work)
        activity.logger.error(
            "saga.stuck",
            extra={"workflow_id": call.saga.workflow_id, "step": call.request.step},
        )

    @activity.defn
    async def end_saga(self, call: StepCall[SagaEnd]) -> Told:
        """The end is told once: a run that has ended stays as it ended first."""
        end = call.request

        async def work(session: AsyncSession) -> Told:
            place = await saga_log.lock_run(session, end.saga)
            if not place.is_ours:
                return Told(end.state, end.result, end.failure)
            if place.ended:
                await _tell_late_undoing(Unit(session, end.saga), place, end)
                return await saga_log.told(session, end.saga.workflow_id)
            unit = Unit(session, end.saga)
            if not place.begun:
                unit.tell(started(end.saga))
                await saga_log.begin_run(session, end.saga)
            completed = await saga_log.completed_steps(session, end.saga.workflow_id)
            unit.tell(*ended(replace(end, completed_steps=completed)))
            await tell_story(unit, place)
            await saga_log.end_run(session, end)
            return Told(end.state, end.result, end.failure)

        return await self._database.transact(work)


async def _tell_late_undoing(unit: Unit, place: saga_log.RunPlace, end: SagaEnd) -> None:
    """An operator had a run undone that had been ended from outside: `sagapost sagas undo`."""
    if await reconciling.settle(unit.session, end.saga.workflow_id):
        unit.tell(*undone(end))
        await tell_story(unit, place)

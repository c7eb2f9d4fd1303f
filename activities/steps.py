"""Commit a step: its effect, its events and their deliveries, in one transaction, once.

Every action and compensation of every saga comes through here. Each is safe to run twice, to be
lost after its commit, and to arrive after it was undone:

* the step's row is written in the transaction of its effect; who finds it returns what it says;
* a compensation that finds no row writes a fence; an action that finds the fence is refused;
* a saga that has told its completion is undone no more, whatever its workflow was told since;
* an outside party is asked before the transaction, under the step's key, and never inside it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from domain.catalogue import EventData
from domain.errors import DuplicateRequest, StepFenced
from domain.saga import NOTHING_TO_UNDO, SagaInfo, SagaState, StepCall, Undone
from domain.story import started, step_completed
from runtime.database import Database
from storage import saga_log
from storage.outbox import Numbered, publish
from storage.types import utc_now

Request = TypeVar("Request")
Result = TypeVar("Result")
Answer = TypeVar("Answer")


@dataclass
class Unit:
    """One transaction of one saga: change things through `session`, tell of them by `tell`."""

    session: AsyncSession
    saga: SagaInfo
    told: list[EventData] = field(default_factory=list)

    def tell(self, *events: EventData) -> None:
        self.told += events


# An effect gets the whole call: a compensation tells why the saga turned back.
UNDONE = TypeAdapter(Undone)

Effect = Callable[[Unit, StepCall[Request]], Awaitable[Result]]


class Steps:
    """The only place where a saga's effects are committed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def perform(self, call: StepCall[Request], effect: Effect[Request, Result]) -> Result:
        """Do the step's effect, once. Raises StepFenced if it was compensated before it came."""

        async def work(session: AsyncSession) -> tuple[str, Any]:
            unit, place = await self._unit(session, call.saga)
            done = await _find_step(session, call, place)
            if done is not None:
                return done.state, done.result
            if place.ended:  # Nobody waits for this try any more.
                return "fenced", None
            if call.abandoned or place.turned_back:
                await _fence(session, call, NOTHING_TO_UNDO)
                await tell_story(unit, place)
                return "fenced", None
            result = await effect(unit, call)
            kept = to_jsonable_python(result)
            attempt = _attempt()
            unit.tell(step_completed(call, kept, attempt=attempt, completed_at=utc_now()))
            await saga_log.record_step(session, call, "done", result=kept, attempt=attempt)
            await tell_story(unit, place, state=SagaState.RUNNING)
            return "done", result

        state, result = await self._database.transact(work)
        if state != "done":
            raise StepFenced(call.saga.workflow_id, call.step)
        return cast(Result, result)

    async def perform_outside(
        self,
        call: StepCall[Request],
        ask: Callable[[], Awaitable[Answer]],
        effect: Callable[[Unit, StepCall[Request], Answer], Awaitable[Result]],
    ) -> Result:
        """Ask an outside party, then commit what its answer means. `ask` is idempotent by key."""
        async with self._database.read() as session:
            done = await saga_log.find_step(session, call.saga.workflow_id, call.step)
        if done is not None and done.state != "done":
            raise StepFenced(call.saga.workflow_id, call.step)
        if done is not None:
            return cast(Result, done.result)
        if call.abandoned:
            return await self.perform(call, _nothing_new)
        answer = await ask()

        async def committed(unit: Unit, call: StepCall[Request]) -> Result:
            return await effect(unit, call, answer)

        return await self.perform(call, committed)

    async def undo(self, call: StepCall[Request], effect: Effect[Request, Undone]) -> Undone:
        """Undo the step's effect, once. If there was none, leave a fence and say so."""
        return await self._undo(call, effect, NOTHING_TO_UNDO)

    async def undo_outside(
        self,
        call: StepCall[Request],
        recall: Callable[[], Awaitable[Undone]],
        effect: Effect[Request, Undone],
    ) -> Undone:
        """Call off what an outside party may have done, whether or not we ever heard of it.

        `recall` is idempotent by the step's key and makes a late request be refused over there;
        `effect` undoes what was committed here.
        """
        async with self._database.read() as session:
            if await saga_log.has_completed(session, call.saga.workflow_id):
                return NOTHING_TO_UNDO
        recalled = await recall()

        async def committed(unit: Unit, call: StepCall[Request]) -> Undone:
            undone = await effect(unit, call)
            return recalled if undone == NOTHING_TO_UNDO else undone

        return await self._undo(call, committed, recalled)

    async def _undo(
        self, call: StepCall[Request], effect: Effect[Request, Undone], unseen: Undone
    ) -> Undone:
        async def work(session: AsyncSession) -> Undone:
            place = await saga_log.lock_run(session, call.saga)
            if not place.is_ours:  # Then its action was refused, too.
                return unseen
            if place.state is SagaState.COMPLETED:
                return NOTHING_TO_UNDO
            unit = await self._begun(session, call.saga, place)
            step = await _find_step(session, call, place)
            if step is not None and step.state != "done":
                return UNDONE.validate_python(step.undone)
            undone = unseen if step is None else await effect(unit, call)
            undone = replace(undone, attempts=_attempt())
            if step is None:
                await _fence(session, call, undone)
            else:
                await saga_log.mark_undone(session, call, to_jsonable_python(undone))
            await tell_story(unit, place, state=_turned_back(place))
            return undone

        return await self._database.transact(work)

    async def _unit(self, session: AsyncSession, saga: SagaInfo) -> tuple[Unit, saga_log.RunPlace]:
        """Raises DuplicateRequest if the id belongs to another saga."""
        place = await saga_log.lock_run(session, saga)
        if not place.is_ours:
            raise DuplicateRequest(f"{saga.workflow_id} was started by somebody else")
        return await self._begun(session, saga, place), place

    async def _begun(self, session: AsyncSession, saga: SagaInfo, place: saga_log.RunPlace) -> Unit:
        unit = Unit(session, saga)
        if not place.begun:
            unit.tell(started(saga))
            await saga_log.begin_run(session, saga)
        return unit


async def _find_step(
    session: AsyncSession, call: StepCall[Any], place: saga_log.RunPlace
) -> saga_log.KnownStep | None:
    if not place.begun:  # Then no step was recorded: the first one begins the story.
        return None
    return await saga_log.find_step(session, call.saga.workflow_id, call.step)


async def _nothing_new(unit: Unit, call: StepCall[Any]) -> Any:
    raise AssertionError(f"{call.step} is abandoned: nothing new may be done")


async def _fence(session: AsyncSession, call: StepCall[Any], undone: Undone) -> None:
    await saga_log.record_step(session, call, "fenced", undone=to_jsonable_python(undone))


def _attempt() -> int:
    return activity.info().attempt if activity.in_activity() else 1


def _turned_back(place: saga_log.RunPlace) -> SagaState:
    return place.state if place.ended else SagaState.COMPENSATING


async def tell_story(
    unit: Unit,
    place: saga_log.RunPlace,
    now: datetime | None = None,
    *,
    state: SagaState | None = None,
) -> None:
    """Publish what the unit told, numbered on from where the workflow's story stands.

    `state` is what the run is in from now on. A story that has ended stays as it is: what an
    operator has undone after that is told without a number.
    """
    workflow_id = unit.saga.workflow_id
    story = [
        (data, None if place.ended else Numbered(workflow_id, number))
        for number, data in enumerate(unit.told, start=place.last_sequence + 1)
    ]
    await publish(unit.session, unit.saga.tenant_id, story, now=now or utc_now())
    last_sequence = place.last_sequence + (0 if place.ended else len(story))
    changes = {"state": state} if state is not None else {}
    await saga_log.change_run(unit.session, workflow_id, last_sequence=last_sequence, **changes)

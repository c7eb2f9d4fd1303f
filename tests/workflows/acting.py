"""Fakes for sagas without a database: they remember what was called, and fail as they are told."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.ports import SagaActivities
from domain.errors import StepFenced
from domain.saga import (
    NOTHING_TO_UNDO,
    ChildEnd,
    ChildUndone,
    Failure,
    Nothing,
    SagaEnd,
    StepCall,
    Told,
    Undone,
    UndoStatus,
)
from runtime.temporal import ErrorsAsFailures, activity_methods, workflow_runner
from tests.conftest import TENANT
from tests.workflows.specimens import SPECIMENS, Deed, Deeds
from workflows.progress import first_attributes

Behaviour = Callable[[StepCall[Any]], Awaitable[None]]


def refuses(code: str = "limit_exceeded") -> Behaviour:
    async def behave(call: StepCall[Any]) -> None:
        raise ApplicationError(f"{call.step}: no", type=code, non_retryable=True)

    return behave


def fails(times: int = 1_000_000) -> Behaviour:
    """Does not answer, so many times."""
    left = Counter({"times": times})

    async def behave(call: StepCall[Any]) -> None:
        if left["times"] > 0:
            left["times"] -= 1
            raise ApplicationError(f"{call.step} does not answer", type="rail_unavailable")

    return behave


def takes(seconds: float) -> Behaviour:
    async def behave(_: StepCall[Any]) -> None:
        await asyncio.sleep(seconds)

    return behave


@dataclass
class Gate:
    """Lets the test know that a step is under way, and keeps it there."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _: StepCall[Any]) -> None:
        self.reached.set()
        await self.opened.wait()


class Actors(Deeds, SagaActivities):
    """Every deed, and what the engine tells. `calls` are names in the order they came."""

    def __init__(self, **behaviours: Behaviour) -> None:
        self.behaviours = behaviours
        self.calls: list[str] = []
        self.done: set[str] = set()
        self.fenced: set[str] = set()
        self.ends: list[SagaEnd] = []
        self.begun: list[str] = []
        self.stuck: list[Failure] = []

    def end(self) -> SagaEnd:
        [end] = self.ends
        return end

    async def _act(self, name: str, call: StepCall[Any]) -> None:
        """Once: who comes again finds it done, who comes after its undoing is refused."""
        if call.key in self.done:
            return
        if call.abandoned or call.key in self.fenced:
            self.fenced.add(call.key)
            raise StepFenced(call.saga.workflow_id, call.step)
        self.calls.append(name)
        await self._behave(name, call)
        self.done.add(call.key)

    async def _undo(self, name: str, call: StepCall[Any]) -> Undone:
        self.calls.append(name)
        await self._behave(name, call)
        self.fenced.add(call.key)
        was_done = call.key in self.done
        return Undone(UndoStatus.EXECUTED) if was_done else NOTHING_TO_UNDO

    async def _behave(self, name: str, call: StepCall[Any]) -> None:
        behave = self.behaviours.get(name)
        if behave is not None:
            await behave(call)

    @activity.defn
    async def one(self, call: StepCall[Deed]) -> str:
        await self._act("one", call)
        return "one"

    @activity.defn
    async def undo_one(self, call: StepCall[Deed]) -> Undone:
        return await self._undo("undo_one", call)

    @activity.defn
    async def two(self, call: StepCall[Deed]) -> None:
        await self._act("two", call)

    @activity.defn
    async def undo_two(self, call: StepCall[Deed]) -> Undone:
        return await self._undo("undo_two", call)

    @activity.defn
    async def three(self, call: StepCall[Deed]) -> None:
        await self._act("three", call)

    @activity.defn
    async def four(self, call: StepCall[Deed]) -> None:
        await self._act("four", call)

    @activity.defn
    async def five(self, call: StepCall[Deed]) -> str:
        await self._act("five", call)
        return "five"

    @activity.defn
    async def weather(self, call: StepCall[Deed]) -> str:
        self.calls.append("weather")
        return "storm" if self.calls.count("weather") > 4 else "fair"

    @activity.defn
    async def begin_saga(self, call: StepCall[Nothing]) -> None:
        await self._behave("begin_saga", call)
        self.begun.append(call.saga.workflow_id)

    @activity.defn
    async def record_child(self, call: StepCall[ChildEnd]) -> None:
        self.calls.append(f"child {call.request.workflow_id.partition('/')[0]}")

    @activity.defn
    async def record_child_undone(self, call: StepCall[ChildUndone]) -> Undone:
        return call.request.undone

    @activity.defn
    async def mark_stuck(self, call: StepCall[Failure]) -> None:
        self.stuck.append(call.request)

    @activity.defn
    async def end_saga(self, call: StepCall[SagaEnd]) -> Told:
        if call.saga.workflow_id not in {end.saga.workflow_id for end in self.ends}:
            self.ends.append(call.request)
        return Told(call.request.state, call.request.result, call.request.failure)


@dataclass(frozen=True)
class Stage:
    """A worker of its own with these actors, and a way to start sagas on it."""

    temporal: Client
    queue: str

    async def start(
        self, saga_type: str, *, rounds: int = 0, business_id: str = ""
    ) -> WorkflowHandle[Any, Any]:
        deed = Deed(id=business_id or uuid4().hex, rounds=rounds)
        return await self.temporal.start_workflow(
            saga_type,
            deed,
            id=f"{saga_type}/{deed.id}",
            task_queue=self.queue,
            memo={"tenant_id": TENANT, "initiated_by": "key_test"},
            search_attributes=first_attributes(saga_type, TENANT, deed.id),
            result_type=dict,
        )

    async def run(self, saga_type: str, *, rounds: int = 0) -> Any:
        return await (await self.start(saga_type, rounds=rounds)).result()


@asynccontextmanager
async def stage(
    temporal: Client, actors: Actors, *, queue: str | None = None, cached: int = 0
) -> AsyncIterator[Stage]:
    """`cached` 0 replays from history at every step, which catches what is not deterministic.

    Not with children: the SDK's core (1.35) then now and then loses a task with local activities,
    and it is done again after its timeout of ten seconds.
    """
    queue = queue or uuid4().hex
    async with Worker(
        temporal,
        task_queue=queue,
        workflows=SPECIMENS,
        activities=activity_methods([actors]),
        workflow_runner=workflow_runner(),
        interceptors=[ErrorsAsFailures()],
        max_cached_workflows=cached,
    ):
        yield Stage(temporal, queue)


async def outcome_of(on: Stage, saga_type: str, *, rounds: int = 0) -> ApplicationError:
    """Run a saga that fails, and return what it fails with."""
    with pytest.raises(WorkflowFailureError) as failure:
        await on.run(saga_type, rounds=rounds)
    assert isinstance(failure.value.cause, ApplicationError)
    return failure.value.cause


async def history(handle: WorkflowHandle[Any, Any]) -> list[HistoryEvent]:
    return [event async for event in handle.fetch_history_events()]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # Nobody says when a fake was called.
            await asyncio.sleep(0.01)

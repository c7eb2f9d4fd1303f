"""Run a saga once in a world of its own, help it as people would, and see what came of it."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError

from conformance.checking import Run
from conformance.faults import Injection
from conformance.hurrying import busy
from conformance.injecting import Case, Cases
from conformance.seeing import Books, Seen, see
from conformance.worlds import World, make_worlds, needs, texts_in
from domain.errors import StepFenced
from domain.operate import Approval, Decision, Verdict
from domain.saga import SagaRequest, SagaState
from runtime.database import Database
from storage.tables import SagaRun
from workflows.progress import first_attributes
from workflows.saga_type import SagaType

PERSON = "conformance"
RUN_WITHIN_S = 60
LOOK_EVERY_S = 0.4
MADE_AT_ONCE = 16


@dataclass
class Worlds:
    """Worlds made in advance: many in one commit."""

    database: Database
    _made: dict[tuple[int, ...], list[World]] = field(default_factory=dict)
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, *examples: SagaRequest) -> World:
        key = tuple(id(example) for example in examples)
        async with self._making:
            made = self._made.setdefault(key, [])
            if not made:
                made += await make_worlds(self.database, examples, MADE_AT_ONCE)
            return made.pop()


@dataclass(frozen=True)
class Runner:
    """What it takes to run a saga: an engine, a database, and a worker on this queue."""

    temporal: Client
    database: Database
    queue: str
    sagas: Mapping[str, SagaType]
    worlds: "Worlds"
    cases: Cases = field(default_factory=Cases)
    # How soon a workflow task is given to another worker if its own died; None: the engine's.
    task_timeout: timedelta | None = None

    async def run(
        self,
        saga: SagaType,
        example: SagaRequest,
        *injections: Injection,
        clean: Run | None = None,
        again: bool = False,
    ) -> "Finished":
        """Run it once. With `again`, do everything a second time after the end.

        `clean` is the run in which nothing went wrong, or None if this is to be it.
        """
        before_it = needs(saga, example, self.sagas)
        world = await self.worlds.take(example, *(one.example for one in before_it))
        for one in before_it:
            await self._prepare(world, one)
        request = world.request(example)
        before = clean.before if clean is not None else await self._books(world)
        case = Case(injections, watched=clean is None)
        case.asks = clean is None or clean.case.was_asked
        handle = await self._start(world, saga, request, case)
        status = await self._finish(handle, case)
        world.ids["id"] = request.id
        complaints = await self._again(world, case, all_of_it=again)
        self.cases.remove(case)
        return Finished(saga, world, case, handle.id, status, before, complaints)

    async def see(self, finished: Sequence["Finished"]) -> list[Run]:
        """What came of each of them."""
        seen = await see(self.database, [one.world for one in finished])
        return [one.seen(seen[one.world.tenant_id]) for one in finished]

    async def _books(self, world: World) -> Books:
        return (await self._seen(world)).books

    async def _prepare(self, world: World, saga: SagaType) -> None:
        """Run another saga's example, and learn what it made."""
        request = world.request(saga.example)
        handle = await self._start(world, saga, request, None)
        async with asyncio.timeout(RUN_WITHIN_S * busy()):
            result = await handle.result()
        named = {name: found for name, found in result.items() if isinstance(found, str)}
        world.ids.update(_placeholders(self.sagas, named))

    async def _start(
        self, world: World, saga: SagaType, request: SagaRequest, case: Case | None
    ) -> WorkflowHandle[Any, Any]:
        """As the API does: accept, then start."""
        workflow_id = f"{saga.name}/{request.id}"
        if case is not None:
            self.cases.add(workflow_id, case)
        accepted = SagaRun(
            workflow_id=workflow_id,
            tenant_id=world.tenant_id,
            type=saga.name,
            state=SagaState.ACCEPTED,
            request={"input": to_jsonable_python(request), "kept": {}},
            initiated_by=PERSON,
        )

        async def accept(session: AsyncSession) -> None:
            session.add(accepted)

        await self.database.transact(accept)
        if case is not None:
            case.handle = self.temporal.get_workflow_handle(workflow_id)
        return await self.temporal.start_workflow(
            saga.name,
            request,
            id=workflow_id,
            task_queue=self.queue,
            memo={"tenant_id": world.tenant_id, "initiated_by": PERSON},
            search_attributes=first_attributes(saga.name, world.tenant_id, request.id),
            result_type=dict,
            task_timeout=self.task_timeout,
        )

    async def _finish(self, handle: WorkflowHandle[Any, Any], case: Case) -> SagaState | None:
        """Wait for its end, and answer for people meanwhile. Returns how it ended, or None."""
        people = asyncio.create_task(self._people(handle, case))
        try:
            async with asyncio.timeout(RUN_WITHIN_S * busy()):
                await handle.result()
            return SagaState.COMPLETED
        except WorkflowFailureError as failure:
            return _ended(failure.cause)
        except TimeoutError:
            await handle.terminate("conformance: it took too long")
            return None
        finally:
            people.cancel()

    async def _people(self, handle: WorkflowHandle[Any, Any], case: Case) -> None:
        """Operators who try again, and managers who approve of everything."""
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    stuck = await case.stuck.get()
            except TimeoutError:
                if case.asks:
                    await self._approve(handle, case)
                continue
            await self._retry(self.temporal.get_workflow_handle(stuck))

    async def _retry(self, handle: WorkflowHandle[Any, Any]) -> None:
        while True:
            try:
                await handle.execute_update("operate", Decision(Verdict.RETRY, PERSON))
                return
            except RPCError:
                return  # It has ended.
            except Exception:  # Not yet stuck: the news of it travels ahead.
                await asyncio.sleep(0.05)

    async def _approve(self, handle: WorkflowHandle[Any, Any], case: Case) -> None:
        with suppress(Exception):  # It has ended, or its worker is busy.
            for what in (await handle.query("progress"))["awaiting_approval"]:
                case.was_asked = True
                yes = Approval(approved=True, by=PERSON, what=what)
                await handle.execute_update("approve", yes)

    async def _again(self, world: World, case: Case, *, all_of_it: bool) -> list[str]:
        """Let go what came late, and do again what was done: nothing may change."""
        late = [(zombie, "an attempt that came after the end") for zombie in case.zombies]
        if all_of_it:
            late += [(call.run, f"{call.visit}, done again") for call in case.calls.values()]
        complaints: list[str] = []
        before = await self._seen(world) if late else None
        for attempt, what in late:
            complaints += await _late(attempt, what)
            if (now := await self._seen(world)) != before:
                complaints.append(f"{what} changed something")
                before = now
        return complaints

    async def _seen(self, world: World) -> Seen:
        return (await see(self.database, [world]))[world.tenant_id]


@dataclass(frozen=True)
class Finished:
    """A run that has ended, before anybody looked at what it left."""

    saga: SagaType
    world: World
    case: Case
    workflow_id: str
    engine: SagaState | None
    before: Books
    complaints: list[str]

    def seen(self, after: Seen) -> Run:
        return Run(self.saga, self.case, self.workflow_id, self.engine, self.before, after)


def _ended(cause: BaseException) -> SagaState:
    if isinstance(cause, CancelledError):
        return SagaState.CANCELLED
    late = isinstance(cause, ApplicationError) and cause.type == "deadline_exceeded"
    return SagaState.TIMED_OUT if late else SagaState.FAILED


async def _late(attempt: Any, what: str) -> list[str]:
    """Being refused is what should happen to most of them; anything else must do nothing."""
    try:
        await attempt()
    except Exception as error:
        refused = getattr(error, "type", None) or type(error).__name__
        if refused not in (StepFenced.code, "rail_pending"):
            return [f"{what} failed: {error!r}"]
    return []


def _placeholders(sagas: Mapping[str, SagaType], made: Mapping[str, str]) -> dict[str, str]:
    """What the examples call the things that were just made."""
    return {
        text: made[name]
        for saga in sagas.values()
        for name, text in texts_in(saga.example)
        if name in made
    }

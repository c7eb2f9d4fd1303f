"""Visit every point of a saga, a few dozen runs at a time, and report what is wrong."""

import asyncio
import base64
import inspect
import random
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from conformance.checking import Run, unseen_steps, wrong_with
from conformance.faults import AFTER, BEFORE, CANCELS, Fault, Injection, Point, Visit
from conformance.injecting import FaultyDatabase, Injector
from conformance.running import Finished, Runner, Worlds
from domain.saga import SagaRequest, SagaState
from runtime.settings import Settings
from runtime.temporal import ErrorsAsFailures, activity_methods
from storage.audit import check_books
from worker.build import saga_implementations
from workflows.registry import all_sagas
from workflows.saga_type import SagaType

AT_ONCE = 32
SETTINGS = Settings(secrets_key=SecretStr(base64.b64encode(bytes(32)).decode()))
EVERYWHERE = (Fault.ERROR, Fault.OUTAGE, Fault.TIMEOUT, Fault.DEATH)


@dataclass
class Report:
    """How many points of a saga were visited, and what is wrong with it."""

    saga: str
    points: int = 0
    pairs: int = 0
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, what: str, wrong: Iterable[str]) -> None:
        self.violations += [f"{what}: {one}" for one in wrong]

    def __str__(self) -> str:
        pace = f"{self.seconds * 1000 / max(1, self.points + self.pairs):.0f} ms each"
        wrong = f"{len(self.violations)} violations"
        and_pairs = f" and {self.pairs} pairs" if self.pairs else ""
        return f"{self.saga}: {self.points} points{and_pairs} visited, {wrong} ({pace})"


@dataclass(frozen=True)
class Trial:
    """One run to make: what goes wrong in it, and how it must end if that is certain.

    `certain` says that the run must come to all its points.
    """

    example: SagaRequest
    clean: Run
    injections: tuple[Injection, ...]
    expected: str | None = None
    certain: bool = True

    def __str__(self) -> str:
        return " and ".join(str(one) for one in self.injections)

    def wrong_with(self, run: Run) -> list[str]:
        bears = bears_failed_children(run.saga, self.example)
        wrong = wrong_with(run, self.clean, self.expected, bears_failed_children=bears)
        if self.certain and len(set(run.case.fired)) < len(self.injections):
            wrong.append("the saga did not come to this point")
        return wrong


class Kit:
    """One per engine and database. Sagas are checked one after the other."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    async def check(
        self, saga: SagaType, *, pairs: int = 0, seed: int = 0, one_in: int = 1
    ) -> Report:
        """Visit every point of the saga with every single fault, and so many pairs of them.

        With `one_in` only every so manieth of the faults: for who has not the time for all.
        """
        report = Report(saga.name)
        began = time.monotonic()
        visits: set[Visit] = set()
        for example in examples_of(saga):
            clean = await self._clean(saga, example, report)
            if clean is None:
                return report
            visits |= set(clean.case.visits)
            refused = await self._refuse_each(saga, example, clean, report)
            trials = list(singles(example, clean, refused))
            some = trials[::one_in]
            report.points += len(some)
            report.pairs += pairs
            await self._make(saga, [*some, *some_pairs(trials, pairs, seed)], report)
        report.violations += unseen_steps(saga, visits)
        await self._audit(report)
        report.seconds = time.monotonic() - began
        return report

    async def _clean(self, saga: SagaType, example: SagaRequest, report: Report) -> Run | None:
        """Run it with nothing going wrong: it must complete, and bear being done again."""
        finished = await self.runner.run(saga, example, again=True)
        [clean] = await self.runner.see([finished])
        report.violations += finished.complaints
        if clean.completed:
            return clean
        why = clean.story.failure if clean.story is not None else {}
        report.violations.append(
            f"the example of saga {saga.name} ends {clean.state} although nothing goes wrong: "
            f"{why.get('text', clean.engine)}. Correct EXAMPLE, or declare in BEFORE what "
            "must have run first"
        )
        return None

    async def _refuse_each(
        self, saga: SagaType, example: SagaRequest, clean: Run, report: Report
    ) -> list[tuple[Injection, Run]]:
        """Refuse each step in turn, which shows what is undone then; and do that all again."""
        refusals = [
            Injection(visit.at(BEFORE), Fault.REFUSAL)
            for visit in clean.case.visits
            if not visit.engine
        ]
        finished = await asyncio.gather(
            *(self.runner.run(saga, example, one, clean=clean, again=True) for one in refusals)
        )
        runs = await self.runner.see(finished)
        for refusal, one, run in zip(refusals, finished, runs, strict=True):
            trial = Trial(example, clean, (refusal,), certain=False)
            report.points += 1
            report.note(str(refusal), [*one.complaints, *trial.wrong_with(run)])
        return list(zip(refusals, runs, strict=True))

    async def _make(self, saga: SagaType, trials: Sequence[Trial], report: Report) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def make(trial: Trial) -> Finished:
            async with gate:
                return await self.runner.run(
                    saga, trial.example, *trial.injections, clean=trial.clean
                )

        finished = await asyncio.gather(*(make(trial) for trial in trials))
        runs = await self.runner.see(finished)
        for trial, one, run in zip(trials, finished, runs, strict=True):
            report.note(str(trial), [*one.complaints, *trial.wrong_with(run)])

    async def _audit(self, report: Report) -> None:
        async with self.runner.database.read() as session:
            report.violations += [str(found) for found in await check_books(session)]


def examples_of(saga: SagaType) -> tuple[SagaRequest, ...]:
    """EXAMPLE, and EXAMPLES where one example does not come to every step."""
    module = inspect.getmodule(saga.workflow)
    more: tuple[SagaRequest, ...] = getattr(module, "EXAMPLES", ())
    return (saga.example, *more)


def bears_failed_children(saga: SagaType, example: SagaRequest) -> bool:
    """Whether this example of it is meant to complete although a child failed."""
    module = inspect.getmodule(saga.workflow)
    return example in getattr(module, "BEARS_FAILED_CHILDREN", ())


def singles(
    example: SagaRequest, clean: Run, refused: Sequence[tuple[Injection, Run]]
) -> Iterable[Trial]:
    """Every fault at every point of the way forward, and of the longest way back."""
    own = clean.saga.name
    for visit in clean.case.visits:
        for injection in _of_child(visit) if visit.saga_type != own else _at_each_place(visit):
            completes = injection.fault in EVERYWHERE and not _gives_up(injection)
            expected = SagaState.COMPLETED if completes else None
            yield Trial(example, clean, (injection,), expected)
    turned_back = [(why, run) for why, run in refused if not run.completed]
    if turned_back:
        why, longest = max(turned_back, key=lambda found: _way_back(found[1], own))
        # Children side by side: how far the others were when one was refused is not certain.
        certain = why.point.saga_type == own
        for visit in _undos(longest):
            of_child = visit.saga_type != own
            for injection in _of_child(visit) if of_child else _at_each_place(visit):
                raced = of_child and injection.fault in CANCELS
                expected = None if raced else SagaState.FAILED
                yield Trial(example, clean, (why, injection), expected, certain)


def some_pairs(trials: Sequence[Trial], count: int, seed: int) -> Iterable[Trial]:
    """Two things that go wrong in one run, drawn by lot: the same for the same seed."""
    lots = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(count):
        one, other = lots.sample(trials, 2)
        both = tuple(dict.fromkeys([*one.injections, *other.injections]))
        yield Trial(one.example, one.clean, both, certain=False)


def _at_each_place(visit: Visit) -> Iterable[Injection]:
    for place in visit.places:
        point = visit.at(place)
        for fault in Fault:
            if _makes_sense(visit, point, fault):
                yield Injection(point, fault)


def _of_child(visit: Visit) -> Iterable[Injection]:
    """A child is checked at all its points as a saga of its own: here, for what it is to this one.

    That one of its steps is refused has been tried for all of them.
    """
    yield Injection(visit.at(AFTER), Fault.DEATH)
    yield Injection(visit.at(BEFORE), Fault.CANCEL)


def _makes_sense(visit: Visit, point: Point, fault: Fault) -> bool:
    if fault is Fault.REFUSAL:
        # A refusal before the effect of a step is a run of its own, made already.
        return not visit.engine and (visit.undo or point.place != BEFORE)
    if fault in CANCELS:
        return point.place in (BEFORE, AFTER)
    return True


def _gives_up(injection: Injection) -> bool:
    return injection.fault is Fault.OUTAGE


def _way_back(run: Run, own: str) -> tuple[int, int]:
    """How much of it there is to try: first its own."""
    undos = _undos(run)
    return sum(visit.saga_type == own for visit in undos), len(undos)


def _undos(run: Run) -> list[Visit]:
    return [visit for visit in run.case.visits if visit.undo]


@asynccontextmanager
async def open_kit(
    temporal: Client, url: str, *, more: Sequence[SagaType] = ()
) -> AsyncIterator[Kit]:
    """A worker on a queue of its own, with the sagas' real activities on this database.

    `more` are sagas that are not registered.
    """
    database = FaultyDatabase(url)
    sagas = all_sagas() | {saga.name: saga for saga in more}
    runner = Runner(temporal, database, uuid4().hex, sagas, Worlds(database))
    async with Worker(
        temporal,
        task_queue=runner.queue,
        workflows=[saga.workflow for saga in sagas.values()],
        activities=activity_methods(saga_implementations(SETTINGS, database)),
        workflow_runner=UnsandboxedWorkflowRunner(),  # Determinism is for the replay tests.
        interceptors=[Injector(runner.cases), ErrorsAsFailures()],
        debug_mode=True,  # A workflow that waits for a busy machine is not deadlocked.
    ):
        yield Kit(runner)
    await database.close()

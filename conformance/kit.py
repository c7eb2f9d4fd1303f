"""Visit every point of a saga, a few dozen runs at a time, and report what is wrong."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from conformance.checking import Run, unseen_steps
from conformance.faults import BEFORE, Fault, Injection, Visit
from conformance.injecting import FaultyDatabase, Injector
from conformance.running import Finished, Runner, Worlds
from conformance.trials import Trial, examples_of, in_few_runs, singles, some_pairs
from domain.saga import SagaRequest
from runtime.settings import Settings
from runtime.temporal import ErrorsAsFailures, activity_methods
from storage.audit import check_books
from worker.build import saga_implementations
from workflows.registry import all_sagas
from workflows.saga_type import SagaType

AT_ONCE = 32
SETTINGS = Settings(secrets_key=SecretStr(base64.b64encode(bytes(32)).decode()))


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


class Kit:
    """One per engine and database. Sagas are checked one after the other."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    async def check(
        self, saga: SagaType, *, pairs: int = 0, seed: int = 0, alone: bool = True
    ) -> Report:
        """Visit every point of the saga with every single fault, and so many pairs of them.

        Each fault has a run of its own, unless `alone` is false: then those that a saga must get
        over come several in a run, and alone only where something was wrong with that run.
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
            report.points += len(trials)
            report.pairs += pairs
            runs = trials if alone else list(in_few_runs(trials))
            await self.make(saga, [*runs, *some_pairs(trials, pairs, seed)], report)
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

    async def make(self, saga: SagaType, trials: Sequence[Trial], report: Report) -> None:
        """Make these runs, and where several faults in one went wrong, one run for each."""
        found = await self.try_all(saga, trials)
        parts = [part for trial, wrong in found.items() if wrong for part in trial.parts]
        alone = await self.try_all(saga, parts)
        for trial, wrong in found.items():
            if not any(alone.get(part) for part in trial.parts):
                report.note(str(trial), wrong)
        for part, wrong in alone.items():
            report.note(str(part), wrong)

    async def try_all(self, saga: SagaType, trials: Sequence[Trial]) -> dict[Trial, list[str]]:
        """What is wrong with each of them."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def make(trial: Trial) -> Finished:
            async with gate:
                return await self.runner.run(
                    saga, trial.example, *trial.injections, clean=trial.clean
                )

        finished = await asyncio.gather(*(make(trial) for trial in trials))
        runs = await self.runner.see(finished)
        return {
            trial: [*one.complaints, *trial.wrong_with(run)]
            for trial, one, run in zip(trials, finished, runs, strict=True)
        }

    async def _audit(self, report: Report) -> None:
        async with self.runner.database.read() as session:
            report.violations += [str(found) for found in await check_books(session)]


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

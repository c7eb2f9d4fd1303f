"""Every fault is tried, also where several come in one run."""

from collections import Counter
from typing import Any

import pytest
from temporalio.client import Client

from activities import steps
from conformance import open_kit
from conformance.checking import Run
from conformance.faults import BEFORE, Fault, Injection, Visit
from conformance.injecting import Call, Case
from conformance.seeing import Books, Seen
from conformance.trials import Trial, in_few_runs, singles
from domain.saga import SagaState, StepCall
from runtime.database import Database
from tests.tutorial import loyalty_bonus
from workflows.registry import saga_in

SOUND = saga_in(loyalty_bonus)
STEPS = ("hold_bonus", "pay_referrer", "settle_bonus")


def run_to(*visits: Visit, state: SagaState, fired: tuple[Injection, ...] = ()) -> Run:
    unused: Any = None
    calls = {("run", one.step, one.undo): Call(one, unused, unused) for one in visits}
    books = Books()
    return Run(SOUND, Case(fired, calls=calls), "run", state, books, Seen(books, {}))


@pytest.fixture
def trials() -> list[Trial]:
    """All single faults of a saga of three steps, whose third was refused once."""
    forward = [Visit(SOUND.name, name, units=1) for name in STEPS]
    back = [Visit(SOUND.name, name, undo=True, units=1) for name in STEPS[:2]]
    refusal = Injection(forward[2].at(BEFORE), Fault.REFUSAL)
    clean = run_to(*forward, state=SagaState.COMPLETED)
    refused = run_to(*forward, *back, state=SagaState.FAILED, fired=(refusal,))
    return list(singles(loyalty_bonus.EXAMPLE, clean, [(refusal, refused)]))


def test_each_fault_is_in_one_run(trials: list[Trial]) -> None:
    tried = Counter(trial.injections[-1] for run in in_few_runs(trials) for trial in members(run))

    assert tried == Counter(trial.injections[-1] for trial in trials)
    assert set(tried.values()) == {1}


def test_there_are_fewer_runs_than_faults(trials: list[Trial]) -> None:
    sure = sum(trial.expected is not None for trial in trials)

    assert len(list(in_few_runs(trials))) <= len(trials) - sure // 2


def test_what_may_end_a_saga_early_comes_alone(trials: list[Trial]) -> None:
    unsure = [trial for trial in trials if trial.expected is None]

    assert unsure
    assert [run for run in in_few_runs(trials) if run.expected is None] == unsure


def test_an_activity_has_one_fault_in_a_run(trials: list[Trial]) -> None:
    for run in in_few_runs(trials):
        at = [(one.point.step, one.point.undo) for one in run.injections]
        assert len(at) == len(set(at))


def members(run: Trial) -> tuple[Trial, ...]:
    return run.parts or (run,)


@pytest.mark.slow
async def test_of_several_faults_the_one_is_named_that_was_not_got_over(
    temporal: Client, sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_as_it_is = steps._find_step

    async def forgotten(session: object, call: StepCall[object], place: object) -> object:
        """That the referrer was paid."""
        if call.step == STEPS[1] and call.failure is None:
            return None
        return await found_as_it_is(session, call, place)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "_find_step", forgotten)

    async with open_kit(temporal, sqlite.url, more=[SOUND]) as kit:
        report = await kit.check(SOUND, alone=False)

    named = {one.split(" of ")[0] for one in report.violations if f"of {STEPS[1]}" in one}
    assert "a retryable error after commit 1" in named
    assert "a retryable error before commit 1" not in named

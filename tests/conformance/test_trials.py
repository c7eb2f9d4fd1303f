"""Every fault is tried, also where several come in one run."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from conformance.checking import Run
from conformance.faults import BEFORE, Fault, Injection, Visit
from conformance.injecting import Call, Case
from conformance.kit import Kit, Report
from conformance.seeing import Books, Seen
from conformance.trials import Trial, in_few_runs, singles
from domain.saga import SagaState
from tests.tutorial import loyalty_bonus
from workflows.registry import saga_in
from workflows.saga_type import SagaType

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


class Scripted(Kit):
    """Every run that has all of these faults goes wrong."""

    def __init__(self, *culprits: Injection) -> None:
        self.culprits = culprits

    async def try_all(self, saga: SagaType, trials: Sequence[Trial]) -> dict[Trial, list[str]]:
        wrong = set(self.culprits)
        return {one: ["lost"] if wrong <= set(one.injections) else [] for one in trials}


async def test_of_several_faults_the_one_is_named_that_was_not_got_over(
    trials: list[Trial],
) -> None:
    culprit = Injection(Visit(SOUND.name, STEPS[1]).at(BEFORE), Fault.DEATH)
    report = Report(SOUND.name)

    await Scripted(culprit).make(SOUND, list(in_few_runs(trials)), report)

    assert report.violations == [f"{culprit}: lost"]


async def test_where_it_takes_several_of_them_all_are_named(trials: list[Trial]) -> None:
    company = next(run for run in in_few_runs(trials) if run.parts)
    report = Report(SOUND.name)

    await Scripted(*company.injections[:2]).make(SOUND, [company], report)

    assert report.violations == [f"{company}: lost"]

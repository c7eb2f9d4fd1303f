"""Which runs to make of a saga, and how each must end."""

import inspect
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.checking import Run, is_round_of, wrong_with
from conformance.faults import AFTER, BEFORE, CANCELS, OUTAGE_TRIES, Fault, Injection, Point, Visit
from domain.saga import SagaRequest, SagaState
from workflows.saga_type import SagaType

# What every step gets over, however few its tries are.
GOT_OVER = (Fault.ERROR, Fault.TIMEOUT, Fault.DEATH)


@dataclass(frozen=True, eq=False)
class Trial:
    """One run to make: what goes wrong in it, and how it must end if that is certain.

    `certain` says that the run must come to all its points. `parts` are the trials of single faults
    that were put together in this one.
    """

    example: SagaRequest
    clean: Run
    injections: tuple[Injection, ...]
    expected: str | None = None
    certain: bool = True
    parts: tuple["Trial", ...] = ()

    def __str__(self) -> str:
        return " and ".join(str(one) for one in self.injections)

    def wrong_with(self, run: Run) -> list[str]:
        bears = bears_failed_children(run.saga, self.example)
        wrong = wrong_with(run, self.clean, self.expected, bears_failed_children=bears)
        if self.certain and len(set(run.case.fired)) < len(self.injections):
            wrong.append("the saga did not come to this point")
        return wrong


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
            completes = injection.fault in GOT_OVER or (
                injection.fault is Fault.OUTAGE and _outlasts_it(clean.saga, visit)
            )
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


def in_few_runs(trials: Sequence[Trial]) -> Iterator[Trial]:
    """The same faults, those that a saga must get over several in a run: one to an activity.

    How such a run must end is certain, and so is what it must leave, so that a fault that is not
    got over shows in company too; and what may end a saga early has a run of its own.
    """
    together: dict[Any, dict[Any, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        *first, tried = trial.injections
        if trial.expected is None:
            yield trial
        else:
            alike = together[trial.expected, trial.certain, *first]
            alike[replace(tried.point, place="")].append(trial)
    for by_activity in together.values():
        yield from _dealt(list(by_activity.values()))


def _dealt(piles: Sequence[Sequence[Trial]]) -> Iterator[Trial]:
    """Take one of each pile in turn, each pile from another place on: kinds of faults mix."""
    rounds = max(len(pile) for pile in piles)
    for number in range(rounds):
        turns = [(pile, (number + shift) % rounds) for shift, pile in enumerate(piles)]
        parts = tuple(pile[turn] for pile, turn in turns if turn < len(pile))
        faults = dict.fromkeys(fault for part in parts for fault in part.injections)
        yield replace(parts[0], injections=tuple(faults), parts=parts)


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


def _outlasts_it(saga: SagaType, visit: Visit) -> bool:
    """Whether it is certain that the step is tried more often than an outage lasts."""
    return visit.engine or any(
        step.attempts_max is None or step.attempts_max > OUTAGE_TRIES
        for step in saga.steps
        if is_round_of(step, visit.step)
    )


def _way_back(run: Run, own: str) -> tuple[int, int]:
    """How much of it there is to try: first its own."""
    undos = _undos(run)
    return sum(visit.saga_type == own for visit in undos), len(undos)


def _undos(run: Run) -> list[Visit]:
    return [visit for visit in run.case.visits if visit.undo]

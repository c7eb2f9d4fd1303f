"""Whether a run kept every promise: each function says what is wrong, in words for its author."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conformance.faults import Fault, Visit
from conformance.injecting import Case
from conformance.seeing import Books, Seen, Story
from domain.saga import SagaState
from workflows.saga_type import SagaType
from workflows.steps import Step

# What may keep a saga from completing: somebody said no, or somebody asked for its end.
FINAL = frozenset({Fault.REFUSAL, Fault.CANCEL, Fault.CANCEL_AND_DEATH})


@dataclass(frozen=True)
class Run:
    """One run of a saga in a world of its own, as it was seen before and afterwards."""

    saga: SagaType
    case: Case
    workflow_id: str
    engine: SagaState | None
    before: Books
    after: Seen

    @property
    def story(self) -> Story | None:
        return self.after.stories.get(self.workflow_id)

    @property
    def state(self) -> str:
        return self.story.state if self.story else "never begun"

    @property
    def completed(self) -> bool:
        return self.state == SagaState.COMPLETED

    @property
    def failed_children(self) -> tuple[str, ...]:
        return tuple(
            workflow_id
            for workflow_id, story in self.after.stories.items()
            if workflow_id != self.workflow_id and story.state != SagaState.COMPLETED
        )


def wrong_with(
    run: Run, clean: Run, expected: str | None = None, *, bears_failed_children: bool = False
) -> list[str]:
    """All that is wrong with a run, next to one in which nothing went wrong."""
    found = [*_ended(run, expected), *_manual(run), *_compensation_events(run)]
    if run.completed and bears_failed_children and run.failed_children:
        # Which parts of it were left out differs: the books' own rules say whether they add up.
        found += [f"completed, but {what}" for what in run.after.books.still_held()]
    elif run.completed:
        found += [f"completed, but {what}" for what in run.after.books.differs(clean.after.books)]
        found += _told_once(run, clean)
    elif run.state in (SagaState.FAILED, SagaState.CANCELLED, SagaState.TIMED_OUT):
        found += _given_back(run, clean)
    return found


def _ended(run: Run, expected: str | None) -> Iterable[str]:
    if run.engine is None:
        yield f"it did not end: the database says {run.state}"
    elif run.engine != run.state:
        yield f"the engine says {run.engine}, the database {run.state}"
    elif expected is not None and run.state != expected:
        why = run.story.failure if run.story else {}
        yield f"it ended {run.state} ({why.get('code')}), not {expected}"


def _manual(run: Run) -> Iterable[str]:
    refused = any(one.fault is Fault.REFUSAL for one in run.case.fired)
    if run.case.was_stuck and not refused:
        yield "it needed an operator although nothing was refused"


def _compensation_events(run: Run) -> Iterable[str]:
    for story in run.after.stories.values():
        told = story.events.count("workflow.compensation_executed")
        if told != int(story.rolled_back):
            yield (
                f"{story.type} told workflow.compensation_executed {told} times, "
                f"{'something' if story.rolled_back else 'nothing'} was rolled back"
            )


def _told_once(run: Run, clean: Run) -> Iterable[str]:
    now, then = run.after.told(), clean.after.told()
    for saga_type, event in sorted({*now, *then}):
        if now[saga_type, event] != then[saga_type, event]:
            yield (
                f"{saga_type} told {event} {now[saga_type, event]} times, "
                f"{then[saga_type, event]} times where nothing went wrong"
            )


def _given_back(run: Run, clean: Run) -> Iterable[str]:
    differences = run.after.books.not_as_before(run.before)
    if not differences:
        return
    blamed = [
        f"step {step.name} of saga {run.saga.name} moved money and has no compensation"
        for step in run.saga.steps
        if step.compensation is None
        and (run.saga.name, step.name) in clean.case.money_movers
        and run.story is not None
        and run.story.steps.get(step.name) == "done"
    ]
    text = "; ".join(blamed) or f"not all was undone of what {run.saga.name} did"
    yield f"{text}: it ended {run.state}, and {'; '.join(differences)}"


def unseen_steps(saga: SagaType, visits: Iterable[Visit]) -> list[str]:
    """Steps that no example comes to: nobody knows whether they are safe."""
    seen = {visit.step for visit in visits if visit.saga_type == saga.name}
    return [
        f"step {step.name} of saga {saga.name} is run by no example: add one to EXAMPLES"
        for step in saga.steps
        if not any(is_round_of(step, name) for name in seen)
    ]


def is_round_of(step: Step[Any, Any], name: str) -> bool:
    """Whether a step of this name is that step, or a round of it in a loop."""
    return name == step.name or name.startswith(f"{step.name}-")

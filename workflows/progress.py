"""How far a saga is, where people look: search attributes, the UI's current details, a query."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)

from domain.operate import Decision
from domain.saga import Failure, SagaInfo, SagaState, Undone

SAGA_TYPE = SearchAttributeKey.for_keyword("SagaType")
SAGA_STATE = SearchAttributeKey.for_keyword("SagaState")
TENANT_ID = SearchAttributeKey.for_keyword("TenantId")
SUBJECT_ID = SearchAttributeKey.for_keyword("SubjectId")
FAILED_STEP = SearchAttributeKey.for_keyword("FailedStep")


def first_attributes(saga_type: str, tenant_id: str, subject_id: str) -> TypedSearchAttributes:
    """The search attributes that every saga starts with."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(SAGA_TYPE, saga_type),
            SearchAttributePair(SAGA_STATE, SagaState.RUNNING.value),
            SearchAttributePair(TENANT_ID, tenant_id),
            SearchAttributePair(SUBJECT_ID, subject_id),
        ]
    )


MARKS = {"waiting": "·", "running": "▶", "done": "✔", "undone": "↩", "noop": "∅", "skipped": "⤼"}


@dataclass
class Line:
    """One row of the table in the UI."""

    step: str
    state: str = "waiting"


@dataclass
class Progress:
    """The saga's steps and their states, kept true while it runs."""

    saga: SagaInfo
    state: SagaState = SagaState.RUNNING
    note: str = ""
    lines: dict[str, Line] = field(default_factory=dict)
    before_stuck: SagaState = SagaState.RUNNING

    def __post_init__(self) -> None:
        self.lines = {step: Line(step) for step in self.saga.steps}

    @property
    def is_stuck(self) -> bool:
        return self.state is SagaState.STUCK

    def offer(self, operate: Callable[[Decision], str], check: Callable[[Decision], None]) -> None:
        """Let people ask (`progress`) and, when stuck, decide (`operate`)."""
        workflow.set_query_handler("progress", self.view)
        workflow.set_update_handler("operate", operate, validator=check)

    def view(self) -> dict[str, Any]:
        return {
            "state": self.state.value,
            "note": self.note,
            "steps": [{"step": line.step, "state": line.state} for line in self.lines.values()],
        }

    def begun(self, step: str) -> None:
        self._mark(step, "running")

    def done(self, step: str) -> None:
        self._mark(step, "done")

    def skipped(self, step: str) -> None:
        self._mark(step, "skipped")

    def undone(self, step: str, undone: Undone) -> None:
        self._mark(step, "undone" if undone.status == "executed" else undone.status.value)

    def turned_back(self, failure: Failure) -> None:
        self.note = f"{failure.step}: {failure.code} ({failure.text})"
        self._enter(SagaState.COMPENSATING, failed_step=failure.step)

    def stuck(self, step: str, why: str) -> None:
        self.before_stuck = self.state
        self.note = f"stuck at {step}: {why}. Update `operate` with retry, skip or resolve."
        self._enter(SagaState.STUCK, failed_step=step)

    def unstuck(self, decision: Decision) -> None:
        self.note = f"{decision.operator} decided: {decision.verdict}. {decision.note}"
        self._enter(self.before_stuck)

    def ended(self, state: SagaState) -> None:
        self._enter(state)

    def _enter(self, state: SagaState, *, failed_step: str | None = None) -> None:
        self.state = state
        updates = [SAGA_STATE.value_set(state.value)]
        if failed_step is not None:
            updates.append(FAILED_STEP.value_set(failed_step))
        workflow.upsert_search_attributes(updates)
        self._show()

    def _mark(self, step: str, state: str) -> None:
        self.lines.setdefault(step, Line(step)).state = state
        self._show()

    def _show(self) -> None:
        rows = [
            f"| {MARKS.get(line.state, '')} | {line.step} | {line.state} |"
            for line in self.lines.values()
        ]
        table = "\n".join(["| | step | state |", "|---|---|---|", *rows])
        workflow.set_current_details(f"**{self.state.value}** {self.note}\n\n{table}")

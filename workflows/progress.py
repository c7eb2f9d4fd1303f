"""How far a saga is, where people look: search attributes, the UI's current details, a query."""

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


MARKS = {
    "waiting": "·",
    "running": "▶",
    "done": "✔",
    "failed": "✘",
    "undone": "↩",
    "noop": "∅",
    "skipped": "⤼",
    "asked": "?",
}


@dataclass
class Progress:
    """The saga's steps and their states, kept true while it runs."""

    saga: SagaInfo
    state: SagaState = SagaState.RUNNING
    note: str = ""
    lines: dict[str, str] = field(default_factory=dict)
    approvals: list[str] = field(default_factory=list)
    turned_back_at: str | None = None

    def __post_init__(self) -> None:
        self.lines = dict.fromkeys(self.saga.steps, "waiting")

    def start(self) -> None:
        """Say what this is, also where a saga was started without its search attributes."""
        workflow.set_query_handler("progress", self.view)
        if workflow.info().typed_search_attributes.get(SAGA_STATE) is None:
            subject = self.saga.subject_id or self.saga.workflow_id
            first = first_attributes(self.saga.type, self.saga.tenant_id, subject)
            workflow.upsert_search_attributes(
                [pair.key.value_set(pair.value) for pair in first.search_attributes]
            )
        self._show()

    def view(self) -> dict[str, Any]:
        return {
            "state": self.state.value,
            "note": self.note,
            "awaiting_approval": list(self.approvals),
            "steps": [{"step": step, "state": state} for step, state in self.lines.items()],
        }

    def begun(self, step: str) -> None:
        self._mark(step, "running")

    def done(self, step: str) -> None:
        self._mark(step, "done")

    def failed(self, step: str) -> None:
        self._mark(step, "failed")

    def skipped(self, step: str) -> None:
        self._mark(step, "skipped")

    def undone(self, step: str, undone: Undone) -> None:
        self._mark(step, "undone" if undone.status == "executed" else undone.status.value)

    def asked(self, what: str) -> None:
        self.approvals.append(what)
        self._mark(what, "asked")

    def answered(self, what: str, state: str) -> None:
        self.approvals.remove(what)
        self._mark(what, state)

    def turned_back(self, failure: Failure) -> None:
        self.note = f"{failure.step}: {failure.code} ({failure.text})"
        self.turned_back_at = failure.step
        if self.lines.get(failure.step) == "running":
            self.lines[failure.step] = "failed"
        self._enter(SagaState.COMPENSATING, failure.step)

    def stuck(self, step: str, why: str) -> None:
        self.note = f"stuck at {step}: {why}. Update `operate` with retry, skip or resolve."
        self._enter(SagaState.STUCK, step)

    def unstuck(self, decision: Decision | None) -> None:
        self.note = str(decision) if decision else "a later try succeeded"
        compensating = self.turned_back_at is not None
        state = SagaState.COMPENSATING if compensating else SagaState.RUNNING
        self._enter(state, self.turned_back_at)

    def ended(self, state: SagaState) -> None:
        self._enter(state, self.turned_back_at)

    def _enter(self, state: SagaState, failed_step: str | None) -> None:
        self.state = state
        updates = [SAGA_STATE.value_set(state.value)]
        if failed_step:
            updates.append(FAILED_STEP.value_set(failed_step))
        elif workflow.info().typed_search_attributes.get(FAILED_STEP) is not None:
            updates.append(FAILED_STEP.value_unset())
        workflow.upsert_search_attributes(updates)
        self._show()

    def _mark(self, step: str, state: str) -> None:
        self.lines[step] = state
        self._show()

    def _show(self) -> None:
        rows = [
            f"| {MARKS.get(state, '')} | {step} | {state} |" for step, state in self.lines.items()
        ]
        table = "\n".join(["| | step | state |", "|---|---|---|", *rows])
        workflow.set_current_details(f"**{self.state.value}** {self.note}\n\n{table}")

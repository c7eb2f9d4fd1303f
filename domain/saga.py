"""What a saga and the outside agree on: who runs, which step, how it failed, what was undone.

These cross the workflow boundary, so they hold ids, codes and amounts, never personal data.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

Request = TypeVar("Request")


class SagaState(StrEnum):
    ACCEPTED = "accepted"
    RUNNING = "running"
    COMPENSATING = "compensating"
    STUCK = "stuck"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


ENDED = frozenset({SagaState.COMPLETED, SagaState.FAILED, SagaState.TIMED_OUT, SagaState.CANCELLED})


@dataclass(frozen=True, kw_only=True)
class SagaRequest:
    """What every saga is asked for. `id` is the business id: the workflow id is `{type}/{id}`.

    Leave it out and the API makes one; give it and asking twice is asking once.
    """

    id: str = ""


@dataclass(frozen=True)
class Nothing:
    """The request of a step that needs to know nothing but its saga."""


@dataclass(frozen=True)
class ChildEnd:
    """A child saga that completed, as a step of its parent."""

    type: str
    workflow_id: str


@dataclass(frozen=True)
class SagaInfo:
    """Which saga this is. `steps` are the names of the planned steps, in order."""

    workflow_id: str
    run_id: str
    type: str
    tenant_id: str
    initiated_by: str
    steps: tuple[str, ...]
    started_at: datetime
    deadline_at: datetime | None = None
    subject_type: str | None = None
    subject_id: str | None = None
    parent_id: str | None = None

    @property
    def compensation_enabled(self) -> bool:
        return bool(self.steps)


@dataclass(frozen=True)
class Failure:
    """Why a saga turned back. `code` is a failure reason of the event catalogue."""

    step: str
    code: str
    text: str
    details: dict[str, Any] = field(default_factory=dict)
    outcome: SagaState = SagaState.FAILED


@dataclass(frozen=True)
class StepCall(Generic[Request]):
    """The one argument of every action and compensation. `{workflow id}/{step}` is its key.

    `failure` is why the saga turned back: set for compensations, None for actions. `abandoned`
    says that the saga is called off: what was done before is answered, and nothing new is done.
    """

    saga: SagaInfo
    step: str
    position: int
    begun_at: datetime
    request: Request
    compensatable: bool = False
    failure: Failure | None = None
    abandoned: bool = False

    @property
    def key(self) -> str:
        """The idempotency key of the effect: never of the run or the attempt."""
        return f"{self.saga.workflow_id}/{self.step}"


class UndoStatus(StrEnum):
    """What a compensation found: something to undo, nothing, or an operator who skipped it."""

    EXECUTED = "executed"
    NOOP = "noop"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Undone:
    """What one compensation did. Amounts are those it gave back, if it moved money."""

    status: UndoStatus
    amount_minor: int | None = None
    asset_code: str | None = None
    attempts: int = 1


NOTHING_TO_UNDO = Undone(UndoStatus.NOOP)


@dataclass(frozen=True)
class ChildUndone:
    """A child saga that another one reversed."""

    reversed_by: str
    undone: Undone


@dataclass(frozen=True)
class Compensation:
    """One line of the compensation's own story, as `workflow.compensation_executed` tells it."""

    step: str
    action: str
    undone: Undone
    attempts: int
    executed_at: datetime
    error: str | None = None


@dataclass(frozen=True)
class SagaEnd:
    """How a saga ended: everything its last events say."""

    saga: SagaInfo
    state: SagaState
    ended_at: datetime
    completed_steps: tuple[str, ...] = ()
    result: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    compensations: tuple[Compensation, ...] = ()


@dataclass(frozen=True)
class Told:
    """How the end of a saga was told, which is how it ended: told once, it stays so."""

    state: SagaState
    result: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None

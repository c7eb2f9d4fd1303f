"""Runs that were ended from outside: what their missing last event says.

No code of a saga runs when a person terminates it or the server times it out. So nothing was
undone, and what is told says so: a person must look at what it left behind.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.saga import Failure, SagaEnd, SagaInfo, SagaState


class Closing(StrEnum):
    """How the engine closed the run, by the engine's own names."""

    TERMINATED = "Terminated"
    TIMED_OUT = "TimedOut"
    FAILED = "Failed"
    CANCELED = "Canceled"


TOLD_AS = {
    Closing.TERMINATED: (SagaState.FAILED, "terminated", "an operator terminated the run"),
    Closing.TIMED_OUT: (SagaState.TIMED_OUT, "timed_out", "the server's time for the run was up"),
    Closing.FAILED: (SagaState.FAILED, "internal_error", "the run failed outside of its steps"),
    Closing.CANCELED: (SagaState.CANCELLED, "cancelled", "the run was cancelled before it began"),
}


@dataclass(frozen=True)
class ReconcileRequest:
    """How a run of the workflow `reconcile` sweeps: so often, so many runs at a time.

    `overlap_s`: how far each sweep looks back behind the one before. The engine's index of closed
    runs may lag.
    """

    sweeps: int = 30
    every_s: float = 20
    overlap_s: float = 120
    page_size: int = 200


@dataclass(frozen=True)
class Swept:
    """What one sweep did: how many closed runs it looked at, how many ends it told."""

    looked_at: int = 0
    told: int = 0


@dataclass(frozen=True)
class Held:
    """A hold that is still placed although its run has ended."""

    hold_id: str
    amount_minor: int
    asset_code: str


Left = tuple[Held, ...]


def end_from_outside(
    saga: SagaInfo, closing: Closing, closed_at: datetime, left: Left | None
) -> SagaEnd:
    """The end to tell. Which step was under way is not known: it may even have been done.

    `left` is what it left behind; None if it never began.
    """
    state, code, text = TOLD_AS[closing]
    details = _details(left) if left else {}
    failure = Failure("", code, text, details, outcome=state)
    return SagaEnd(saga=saga, state=state, ended_at=closed_at, failure=failure)


def _details(left: Left) -> dict[str, Any]:
    return {
        "manual_intervention_required": True,
        "held": [
            {
                "hold_id": hold.hold_id,
                "amount_minor": hold.amount_minor,
                "asset_code": hold.asset_code,
            }
            for hold in left
        ],
    }

"""What goes wrong, and where: an activity that a saga comes to, a place in it, a fault there."""

from dataclasses import dataclass
from enum import StrEnum

BEFORE = "before the effect"
AFTER = "after the answer"


def before_commit(unit: int) -> str:
    return f"before commit {unit}"


def after_commit(unit: int) -> str:
    return f"after commit {unit}"


class Fault(StrEnum):
    ERROR = "a retryable error"
    OUTAGE = "an outage of four tries"
    REFUSAL = "a refusal"
    TIMEOUT = "no answer in time"
    DEATH = "the process dies"
    CANCEL = "a cancel"
    CANCEL_AND_DEATH = "a cancel, and the process dies"


OUTAGE_TRIES = 4
# A cancel can come whenever it likes; these places tell apart all that it can mean to a step.
CANCELS = (Fault.CANCEL, Fault.CANCEL_AND_DEATH)


@dataclass(frozen=True, order=True)
class Visit:
    """An activity that a saga comes to. `units` are the transactions that it commits.

    `engine` says that it is the engine's own, which refuses nothing.
    """

    saga_type: str
    step: str
    undo: bool = False
    units: int = 0
    engine: bool = False

    @property
    def places(self) -> tuple[str, ...]:
        commits = [
            place
            for unit in range(1, self.units + 1)
            for place in (before_commit(unit), after_commit(unit))
        ]
        return (BEFORE, *commits, AFTER)

    def at(self, place: str) -> "Point":
        return Point(self.saga_type, self.step, self.undo, place)

    def __str__(self) -> str:
        return f"{'undoing ' if self.undo else ''}{self.step} of {self.saga_type}"


@dataclass(frozen=True)
class Point:
    saga_type: str
    step: str
    undo: bool
    place: str

    def __str__(self) -> str:
        return f"{self.place} of {'undoing ' if self.undo else ''}{self.step} ({self.saga_type})"


@dataclass(frozen=True)
class Injection:
    """One fault at one point. An outage happens several times, everything else once."""

    point: Point
    fault: Fault

    @property
    def times(self) -> int:
        return OUTAGE_TRIES if self.fault is Fault.OUTAGE else 1

    def __str__(self) -> str:
        return f"{self.fault} {self.point}"

"""Status: how each component is doing, and what of that is news.

Pure: the saga status_monitor has the components asked, `status_of` says what an answer means.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.saga import SagaRequest

Component = Literal["api", "database", "engine", "relay"]
Status = Literal["operational", "degraded", "down"]

COMPONENTS: Final[tuple[Component, ...]] = ("api", "database", "engine", "relay")
WORST_FIRST: Final[tuple[Status, ...]] = ("down", "degraded", "operational")
# Slower than this is degraded. The relay's is how long a delivery that is due may wait.
DEGRADED_AFTER_MS: Final[Mapping[Component, int]] = {
    "api": 1_000,
    "database": 500,
    "engine": 1_000,
    "relay": 60_000,
}
# A timer that fires later than this says that the engine, or every worker, was away.
TIMER_LATE_MAX: Final = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class StatusMonitorRequest(SagaRequest):
    """Ask the components every `every_s` seconds, and tell when one changes its health.

    `degraded_after_ms` says, by component, from when on it is too slow. Until it is cancelled, or
    for so many `rounds`. The last two are its own memory.
    """

    components: Annotated[tuple[Component, ...], Field(min_length=1, max_length=4)] = COMPONENTS
    every_s: Annotated[float, Field(ge=0.1, le=3_600)] = 15.0
    degraded_after_ms: dict[Component, Annotated[int, Field(ge=0)]] = field(default_factory=dict)
    rounds: Annotated[int, Field(ge=1)] | None = None
    rounds_done: Annotated[int, Field(ge=0)] = 0
    known: dict[Component, Status] = field(default_factory=dict)

    def limit_ms(self, component: Component) -> int:
        return self.degraded_after_ms.get(component, DEGRADED_AFTER_MS[component])


@dataclass(frozen=True)
class StatusLook:
    """Which components to ask, and how late the timer was that says so."""

    monitor: StatusMonitorRequest
    late_ms: int


@dataclass(frozen=True)
class Answer:
    """How long a component took; None if it did not answer."""

    ms: int | None


@dataclass(frozen=True)
class Measured:
    """How a component is doing, and why that is said."""

    component: Component
    status: Status
    reason: str
    at: datetime


@dataclass(frozen=True)
class StatusReport:
    """What changed in a round, and how everything is doing after it."""

    changed: tuple[Measured, ...]
    overall: Status


def status_of(
    component: Component, answer: Answer, *, limit_ms: int, late_ms: int = 0
) -> tuple[Status, str]:
    """Its status, with the reason in words."""
    if answer.ms is None:
        return "down", "it does not answer"
    if component == "engine" and timedelta(milliseconds=late_ms) > TIMER_LATE_MAX:
        return "degraded", f"a timer fired {late_ms // 1000} seconds late"
    if answer.ms < limit_ms:
        return "operational", "it answers in time"
    if component == "relay":
        return "degraded", f"the oldest delivery that is due has waited {answer.ms} ms"
    return "degraded", f"it took {answer.ms} ms to answer"


def changes(known: Mapping[Component, Status], measured: Iterable[Measured]) -> list[Measured]:
    """What is news. Of what nobody has looked at before it is thought that all is well."""
    return [one for one in measured if one.status != known.get(one.component, "operational")]


def worst(statuses: Iterable[Status]) -> Status:
    return min(statuses, key=WORST_FIRST.index, default="operational")

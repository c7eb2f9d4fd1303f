"""Replay: which events of a window go to an endpoint once more, and at what pace.

An event is replayed if the endpoint wants it now, and if what became of it before is what was
asked for. What is still under way is left alone: it arrives without help.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.catalogue import EVENT_TYPES, check_patterns, matches
from domain.delivery import SETTLED
from domain.errors import Refused

PER_SECOND: Final = 50
PER_SECOND_MAX: Final = 500
LOOK_DELAY_MAX: Final = timedelta(minutes=5)
MISSING: Final = "missing"
# What a caller may ask for: settled states, `missing` where there is no delivery, and two words
# for several of them at once.
STATES: Final = (*sorted(SETTLED), MISSING)
WORDS: Final = {
    "success": ("succeeded",),
    "failed": ("dead_lettered", "cancelled"),
    "undelivered": ("dead_lettered", "cancelled", MISSING),
}


class ReplayState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({ReplayState.COMPLETED, ReplayState.CANCELLED})


class InvalidReplay(Refused):
    code = "invalid_replay"


class NothingToReplay(Refused):
    code = "nothing_to_replay"

    def __init__(self) -> None:
        super().__init__(
            "nothing in this window is to be replayed: widen it, or ask for other states"
        )


class ReplayUnderWay(Refused):
    code = "replay_under_way"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"a replay of this webhook is under way: wait for {job_id}, or cancel it",
            replay_id=job_id,
        )


class WebhookDisabled(Refused):
    code = "webhook_disabled"

    def __init__(self) -> None:
        super().__init__("this webhook is disabled: enable it before replaying to it")


class ReplayStateConflict(Refused):
    code = "replay_state_conflict"

    def __init__(self, job_id: str, state: str, action: str) -> None:
        super().__init__(f"replay {job_id} is {state}: it cannot {action}", state=state)


@dataclass(frozen=True)
class ReplayFilter:
    """What to replay. `event_types` are patterns; empty tuples mean everything."""

    since: datetime
    until: datetime
    event_types: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    never_attempted: bool = False

    def __post_init__(self) -> None:
        if self.since >= self.until:
            raise InvalidReplay("the window ends before it begins", field="until")
        if problems := check_patterns(self.event_types):
            raise InvalidReplay("; ".join(problems), field="event_types")
        for word in self.states:
            if word not in STATES and word not in WORDS:
                known = ", ".join((*WORDS, *STATES))
                raise InvalidReplay(f"{word!r} cannot be replayed: use {known}", field="status")

    def asks_for(self, state: str, attempts: int) -> bool:
        if self.never_attempted and attempts:
            return False
        if not self.states:
            return True
        return any(state in WORDS.get(word, (word,)) for word in self.states)


@dataclass(frozen=True)
class Candidate:
    """An event of the window. `state` is None where it was never meant for the endpoint."""

    state: str | None
    attempts: int
    is_wanted: bool
    is_expunged: bool


class Choice(StrEnum):
    REQUEUE = "requeue"
    CREATE = "create"
    NOT_WANTED = "not_wanted"
    NOT_ASKED_FOR = "not_asked_for"
    UNDER_WAY = "under_way"
    EXPUNGED = "expunged"

    @property
    def sends(self) -> bool:
        return self in (Choice.REQUEUE, Choice.CREATE)


def choose(candidate: Candidate, filter: ReplayFilter) -> Choice:
    """What a replay does with one event."""
    if candidate.is_expunged:
        return Choice.EXPUNGED
    if not candidate.is_wanted:
        return Choice.NOT_WANTED
    if candidate.state is not None and candidate.state not in SETTLED:
        return Choice.UNDER_WAY
    if not filter.asks_for(candidate.state or MISSING, candidate.attempts):
        return Choice.NOT_ASKED_FOR
    return Choice.CREATE if candidate.state is None else Choice.REQUEUE


def wanted_types(endpoint_types: list[str], asked_for: tuple[str, ...]) -> list[str]:
    """The event types that the endpoint subscribes to now and that are asked for."""
    return [
        event_type
        for event_type in EVENT_TYPES
        if matches(endpoint_types, event_type) and (not asked_for or matches(asked_for, event_type))
    ]


def check_pace(per_second: int) -> int:
    if not 1 <= per_second <= PER_SECOND_MAX:
        raise InvalidReplay(
            f"a replay sends 1 to {PER_SECOND_MAX} events per second, not {per_second}",
            field="rate",
        )
    return per_second


def pace(queued: int, per_second: int) -> timedelta:
    """How long to wait after a batch, so that the rate is never exceeded."""
    return timedelta(seconds=queued / per_second)


def look_delay(looks: int) -> timedelta:
    """How long a job that may not go on waits before it looks again, if nobody wakes it."""
    return min(timedelta(seconds=1 << min(looks - 1, 10)), LOOK_DELAY_MAX)


@dataclass(frozen=True)
class ReplayRequest:
    """What its workflow is given: everything else is in the job's row."""

    job_id: str


@dataclass(frozen=True)
class ReplayBatch:
    """Ask for one batch of one job. Number 0 only asks where it stands."""

    job_id: str
    number: int


@dataclass(frozen=True)
class ReplayProgress:
    """Where a job stands after a batch. `waits_for` says why it was not moved, if it was not."""

    state: ReplayState
    batch: int
    queued: int
    total: int
    requeued: int
    created: int
    skipped: int
    per_second: int
    waits_for: str | None = None

    @property
    def sent(self) -> int:
        return self.requeued + self.created

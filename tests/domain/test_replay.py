from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.replay import (
    Candidate,
    Choice,
    InvalidReplay,
    ReplayFilter,
    check_pace,
    choose,
    look_delay,
    pace,
    wanted_types,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def asking(**what: Any) -> ReplayFilter:
    return ReplayFilter(NOW, NOW + timedelta(days=1), **what)


def an_event(state: str | None, attempts: int = 1, **more: Any) -> Candidate:
    return Candidate(state, attempts, **({"is_wanted": True, "is_expunged": False} | more))


EVERYTHING = asking()
FAILED = asking(states=("failed",))
UNDELIVERED = asking(states=("undelivered",))
NEVER = asking(never_attempted=True)
DEAD = asking(states=("dead_lettered",))

# (what became of the event, what is asked for, what the replay does)
TABLE = [
    (an_event("succeeded"), EVERYTHING, Choice.REQUEUE),
    (an_event("dead_lettered"), EVERYTHING, Choice.REQUEUE),
    (an_event("cancelled", 0), EVERYTHING, Choice.REQUEUE),
    (an_event(None, 0), EVERYTHING, Choice.CREATE),
    (an_event("pending", 0), EVERYTHING, Choice.UNDER_WAY),
    (an_event("claimed", 0), EVERYTHING, Choice.UNDER_WAY),
    (an_event("retrying"), EVERYTHING, Choice.UNDER_WAY),
    (an_event("parked"), EVERYTHING, Choice.UNDER_WAY),
    (an_event("succeeded", is_wanted=False), EVERYTHING, Choice.NOT_WANTED),
    (an_event("succeeded", is_expunged=True), EVERYTHING, Choice.EXPUNGED),
    (an_event("succeeded"), FAILED, Choice.NOT_ASKED_FOR),
    (an_event("dead_lettered", 10), FAILED, Choice.REQUEUE),
    (an_event("cancelled", 0), FAILED, Choice.REQUEUE),
    (an_event(None, 0), FAILED, Choice.NOT_ASKED_FOR),
    (an_event(None, 0), UNDELIVERED, Choice.CREATE),
    (an_event("dead_lettered"), DEAD, Choice.REQUEUE),
    (an_event("cancelled"), DEAD, Choice.NOT_ASKED_FOR),
    (an_event(None, 0), NEVER, Choice.CREATE),
    (an_event("cancelled", 0), NEVER, Choice.REQUEUE),
    (an_event("cancelled", 1), NEVER, Choice.NOT_ASKED_FOR),
    (an_event("succeeded"), NEVER, Choice.NOT_ASKED_FOR),
    (an_event(None, 0, is_expunged=True), NEVER, Choice.EXPUNGED),
]


@pytest.mark.parametrize(("event", "filter", "choice"), TABLE)
def test_what_a_replay_does_with_an_event(
    event: Candidate, filter: ReplayFilter, choice: Choice
) -> None:
    assert choose(event, filter) is choice


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidReplay, match="ends before it begins"):
        ReplayFilter(NOW, NOW)


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"states": ("pending",)}, "status"),
        ({"event_types": ("transfer.compelted",)}, "event_types"),
    ],
)
def test_a_state_or_type_that_cannot_be_replayed_is_refused_by_its_field(
    what: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidReplay) as refused:
        asking(**what)

    assert refused.value.details["field"] == field


def test_only_types_that_are_subscribed_to_and_asked_for_are_replayed() -> None:
    assert wanted_types(["account.*"], ("*.created", "account.created")) == ["account.created"]
    assert wanted_types(["account.created"], ()) == ["account.created"]
    assert wanted_types(["account.created"], ("transfer.*",)) == []
    assert len(wanted_types(["*"], ())) == 41


@pytest.mark.parametrize("per_second", [0, -1, 501])
def test_a_pace_is_bounded(per_second: int) -> None:
    with pytest.raises(InvalidReplay):
        check_pace(per_second)


def test_a_batch_is_followed_by_the_time_that_its_rate_allows() -> None:
    assert pace(50, 50) == timedelta(seconds=1)
    assert pace(1, 500) == timedelta(milliseconds=2)
    assert pace(0, 1) == timedelta()


def test_a_job_that_waits_looks_less_and_less_often() -> None:
    delays = [look_delay(looks) for looks in (1, 2, 3, 9, 10, 1000)]

    assert delays == [timedelta(seconds=seconds) for seconds in (1, 2, 4, 256, 300, 300)]

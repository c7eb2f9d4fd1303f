from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.delivery import STANDARD_SCHEDULE
from domain.health import (
    DISABLE_AFTER,
    DRAIN_MAX,
    Counted,
    Health,
    Tally,
    count,
    drain_size,
    health_after,
    opens,
    probe_delay,
    warning_due,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
FAILED_BY_US = {"succeeded": False, "blames": False}


@pytest.mark.parametrize(
    ("outcomes", "health"),
    [
        ("", Health.HEALTHY),
        ("ff", Health.HEALTHY),
        ("fff", Health.FAILING),
        ("fffs", Health.HEALTHY),
        ("f" * 9, Health.FAILING),
        ("f" * 10, Health.PARKED),
        ("sss" + "f" * 6, Health.FAILING),
        ("sss" + "f" * 7, Health.PARKED),  # 7 of 10
        ("ssss" + "f" * 9, Health.FAILING),  # 9 of 13
        ("f" * 5 + "s" + "f" * 9, Health.PARKED),  # 14 of 15
    ],
)
def test_the_breaker_opens_at_ten_in_a_row_or_seventy_percent(
    outcomes: str, health: Health
) -> None:
    assert health_after(Health.HEALTHY, counted(outcomes)) is health


def test_only_the_last_five_minutes_count_for_the_share() -> None:
    tally = counted("fffffsfff", now=NOW)
    assert opens(counted("f", after=tally, now=NOW + timedelta(minutes=4)))
    assert not opens(counted("f", after=tally, now=NOW + timedelta(minutes=5)))


def test_the_retries_of_one_event_never_open_it() -> None:
    tally = count(Tally(), [failure("dlv_poison")] * 50, now=NOW)

    assert health_after(Health.HEALTHY, tally) is Health.FAILING
    assert warning_due(tally, NOW + DISABLE_AFTER) is None


def test_failures_of_our_own_count_for_nothing() -> None:
    ours = Counted("dlv_1", NOW, duration_ms=1, **FAILED_BY_US)
    assert count(Tally(), [ours] * 50, now=NOW) == Tally()


def test_parked_and_disabled_do_not_end_by_counting() -> None:
    fine = counted("s" * 100)
    for health in (Health.PARKED, Health.DISABLED, Health.RECOVERING):
        assert health_after(health, fine) is health


def test_a_recovering_endpoint_is_parked_again_sooner() -> None:
    assert health_after(Health.RECOVERING, counted("ff")) is Health.RECOVERING
    assert health_after(Health.RECOVERING, counted("fff")) is Health.PARKED


@pytest.mark.parametrize(
    ("share", "warned", "due"),
    [
        (0.49, 0, None),
        (0.50, 0, 50),
        (0.60, 50, None),
        (0.75, 50, 75),
        (0.80, 0, 75),
        (0.999, 75, None),
        (1.0, 75, 100),
        (3.0, 100, None),
    ],
)
def test_an_owner_is_warned_at_50_75_and_100_percent_once_each(
    share: float, warned: int, due: int | None
) -> None:
    tally = counted("fff", warned_percent=warned)
    assert warning_due(tally, NOW + share * DISABLE_AFTER) == due


def test_one_success_ends_the_count_towards_being_disabled() -> None:
    assert warning_due(counted("fffs"), NOW + DISABLE_AFTER) is None


def test_probes_follow_the_retry_schedule_and_are_there_when_a_warning_is_due() -> None:
    tally, now, at = counted("fff"), NOW, []
    for failed in range(20):
        now += probe_delay(failed, STANDARD_SCHEDULE, tally, now)
        at.append(now - NOW)

    assert at[:4] == [timedelta(seconds=s) for s in (5, 305, 2105, 9305)]
    for percent in (50, 75, 100):
        assert DISABLE_AFTER * percent / 100 in at


def test_an_endpoint_without_retries_is_probed_all_the_same() -> None:
    assert probe_delay(0, (), Tally(), NOW) == timedelta(minutes=5)


def test_a_drain_grows_and_waits_for_what_it_let_go() -> None:
    assert [drain_size(number, 0) for number in (0, 1, 2, 9)] == [16, 32, 64, DRAIN_MAX]
    assert drain_size(3, 100) == 28
    assert drain_size(3, 128) == 0


def test_a_slow_endpoint_is_known_after_one_timeout_and_forgiven_soon() -> None:
    slow = count(Tally(), [Counted("dlv_1", NOW, False, True, 15_000)], now=NOW)  # noqa: FBT003
    assert slow.is_slow
    assert not counted("s" * 8, after=slow).is_slow


@given(st.text("sfx", max_size=60))
def test_a_tally_counts_like_the_whole_list_would(outcomes: str) -> None:
    tally = counted(outcomes)

    since_success = outcomes.rpartition("s")[2].replace("x", "")
    assert tally.failures_in_a_row == len(since_success)
    assert (tally.failing_since is None) == (not since_success)
    assert sum(minute[1] for minute in tally.minutes) == len(outcomes.replace("x", ""))


def counted(
    outcomes: str, *, after: Tally | None = None, now: datetime = NOW, warned_percent: int = 0
) -> Tally:
    """`s`: a success, `f`: a failure, `x`: one of our own; each of another delivery."""
    attempts = [
        Counted(f"dlv_{number}", NOW, outcome == "s", outcome == "f", 10)
        for number, outcome in enumerate(outcomes)
    ]
    return count(after or Tally(warned_percent=warned_percent), attempts, now=now)


def failure(delivery_id: str) -> Counted:
    return Counted(delivery_id, NOW, succeeded=False, blames=True, duration_ms=10)

from datetime import UTC, datetime, timedelta

import pytest

from domain.rotation import (
    InvalidOverlap,
    KeyLife,
    Kind,
    NoKeyPair,
    TooManySecrets,
    plan_rotation,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_old_secret_signs_until_the_overlap_ends_to_the_microsecond() -> None:
    plan = plan_rotation([KeyLife("old", "v1", None)], kind="v1", overlap=DAY, now=NOW)

    assert plan.expiring == ("old",)
    assert plan.ends_at == NOW + DAY
    old = KeyLife("old", "v1", plan.ends_at)
    assert old.is_live(plan.ends_at - timedelta(microseconds=1))
    assert not old.is_live(plan.ends_at)


@pytest.mark.parametrize("kind", ["v1", "v1a"])
def test_only_secrets_of_the_same_kind_make_room(kind: Kind) -> None:
    keys = [KeyLife("v1", "v1", None), KeyLife("v1a", "v1a", None)]

    assert plan_rotation(keys, kind=kind, overlap=DAY, now=NOW).expiring == (kind,)


def test_what_expires_sooner_or_has_expired_is_left_alone() -> None:
    keys = [
        KeyLife("current", "v1", None),
        KeyLife("sooner", "v1", NOW + DAY / 2),
        KeyLife("later", "v1", NOW + 2 * DAY),
        KeyLife("gone", "v1", NOW - DAY),
    ]

    assert plan_rotation(keys, kind="v1", overlap=DAY, now=NOW).expiring == ("current", "later")


@pytest.mark.parametrize("overlap", [timedelta(), timedelta(seconds=1), timedelta(days=7)])
def test_an_overlap_lies_between_nothing_and_a_week(overlap: timedelta) -> None:
    plan = plan_rotation([KeyLife("old", "v1", None)], kind="v1", overlap=overlap, now=NOW)

    assert plan.ends_at == NOW + overlap


@pytest.mark.parametrize("overlap", [-timedelta(seconds=1), timedelta(days=7, microseconds=1)])
def test_any_other_overlap_is_refused(overlap: timedelta) -> None:
    with pytest.raises(InvalidOverlap, match="between 0 seconds and 7 days"):
        plan_rotation([KeyLife("old", "v1", None)], kind="v1", overlap=overlap, now=NOW)


def test_an_eleventh_live_secret_is_refused_but_expired_ones_do_not_count() -> None:
    live = [KeyLife(str(number), "v1", None) for number in range(10)]
    gone = [KeyLife(f"gone {number}", "v1", NOW) for number in range(10)]

    plan_rotation(live[:9] + gone, kind="v1", overlap=DAY, now=NOW)

    with pytest.raises(TooManySecrets):
        plan_rotation(live, kind="v1", overlap=DAY, now=NOW)


def test_a_key_pair_that_is_not_there_cannot_be_rotated() -> None:
    with pytest.raises(NoKeyPair):
        plan_rotation([KeyLife("old", "v1", None)], kind="v1a", overlap=DAY, now=NOW)

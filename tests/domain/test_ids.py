import re
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from domain import ids
from domain.ids import new_id, new_uuid

ID = re.compile(r"evt_[0-9a-hjkmnp-tv-z]{26}\Z")


def test_an_id_has_a_prefix_and_26_characters() -> None:
    assert ID.match(new_id("evt"))


def test_later_ids_sort_behind_earlier_ones() -> None:
    made = [new_id("evt") for _ in range(20_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_make_no_id_twice() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: new_id("evt"), range(20_000)))

    assert len(set(made)) == len(made)


def test_an_id_says_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000

    characters = new_id("evt").removeprefix("evt_")

    number = 0
    for character in characters:
        number = number << 5 | ids.CROCKFORD.index(character)
    assert before <= number >> 80 <= before + 1_000


def test_ids_go_on_upwards_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [new_id("evt") for _ in range(3)]
    hour_ago = time.time_ns() - 3_600 * 10**9

    monkeypatch.setattr(time, "time_ns", lambda: hour_ago)
    after = [new_id("evt") for _ in range(3)]

    assert before + after == sorted(before + after)


def test_uuids_are_of_version_7_and_tell_the_time() -> None:
    before = time.time_ns() // 1_000_000

    made = [UUID(new_uuid()) for _ in range(5_000)]

    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {"specified in RFC 4122"}
    assert len(set(made)) == len(made)
    assert all(before <= one.int >> 80 <= before + 10_000 for one in made)

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.limits import Rate, Waiting, choose, deal, free_places

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@given(
    st.integers(1, 5_000),
    st.lists(st.integers(0, 90_000), min_size=1, max_size=200),
)
def test_no_minute_ever_sees_more_than_the_rate(per_minute: int, waits_ms: list[int]) -> None:
    rate, sent_until, now = Rate(per_minute), None, NOW
    sent: list[tuple[datetime, int]] = []
    for wait in waits_ms:
        now += timedelta(milliseconds=wait)
        number = rate.available(sent_until, now)
        sent_until = rate.after(sent_until, now, number) if number else sent_until
        sent.append((now, number))

    for start, _ in sent:
        assert sum(n for at, n in sent if start <= at < start + MINUTE) <= per_minute


@pytest.mark.parametrize("per_minute", [1, 7, 60, 61, 600, 100_000])
def test_the_whole_rate_can_be_used(per_minute: int) -> None:
    rate, sent_until, total = Rate(per_minute), None, 0
    for second in range(600):
        now = NOW + timedelta(seconds=second)
        number = rate.available(sent_until, now)
        total += number
        sent_until = rate.after(sent_until, now, number) if number else sent_until
    assert 0.9 * 10 * per_minute <= total <= 10 * per_minute


def test_it_says_how_long_to_wait() -> None:
    rate = Rate(60)
    used_up = rate.after(None, NOW, rate.available(None, NOW))
    assert rate.available(used_up, NOW) == 0
    assert rate.wait(used_up, NOW) == timedelta(seconds=1)
    assert rate.available(used_up, NOW + timedelta(seconds=1)) == 1
    assert rate.wait(None, NOW) == timedelta()


def test_a_slow_endpoints_places_are_not_filled_one_by_one() -> None:
    assert free_places(50, 0) == 50
    assert free_places(50, 25) == 25
    assert free_places(50, 26) == 0
    assert free_places(1, 0) == 1
    assert free_places(1, 1) == 0
    assert free_places(2, 1) == 1


def test_places_are_dealt_to_tenants_in_turn_and_then_to_their_endpoints() -> None:
    lanes = [
        waiting("big", "b1", 100),
        waiting("big", "b2", 100),
        waiting("small", "s1", 1),
        waiting("mid", "m1", 3),
    ]
    dealt = deal(lanes, 10)
    assert Counter(id[0] for id in dealt) == {"b": 6, "s": 1, "m": 3}
    assert Counter(id[:2] for id in dealt) == {"b1": 3, "b2": 3, "s1": 1, "m1": 3}


def test_a_chain_stays_whole_and_in_order() -> None:
    chain = ("a1", "a2", "a3")
    dealt = deal([Waiting("t", "a", (chain,)), waiting("u", "b", 5)], 4)
    assert dealt == ["a1", "a2", "a3", "b0"]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("wxyz"), st.integers(0, 20)), max_size=12
    ),
    st.integers(1, 40),
)
def test_no_place_stays_empty_while_something_waits(
    found: list[tuple[str, str, int]], places: int
) -> None:
    lanes = [
        Waiting(tenant, endpoint, tuple((f"{number}/{n}",) for n in range(size)))
        for number, (tenant, endpoint, size) in enumerate(found)
    ]
    dealt = deal(lanes, places)
    assert len(dealt) == len(set(dealt)) == min(places, sum(size for *_, size in found))


def test_each_of_a_tenants_endpoints_comes_first_in_its_turn() -> None:
    lanes = {"t": ["t1", "t2", "t3"], "u": ["u1"]}
    firsts = [choose(lanes, 2, turn)[0] for turn in range(6)]
    assert firsts == ["t1", "t2", "t3", "t1", "t2", "t3"]
    assert sorted(choose(lanes, 10, 4)) == ["t1", "t2", "t3", "u1"]


def waiting(tenant: str, endpoint: str, size: int) -> Waiting:
    return Waiting(tenant, endpoint, tuple((f"{endpoint}{number}",) for number in range(size)))

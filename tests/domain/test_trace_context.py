import re

from domain.trace_context import traceparent

# The W3C's grammar of version 00; an id of zeros only is invalid.
GRAMMAR = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")


def test_it_is_what_the_standard_asks_for() -> None:
    for number in range(1, 200):
        assert GRAMMAR.match(traceparent(f"transfer/{number}", f"dlv_{number}", number))


def test_a_story_is_one_trace_and_each_attempt_a_parent_of_its_own() -> None:
    sent = [
        traceparent("transfer/1", delivery, attempt)
        for delivery in ("dlv_1", "dlv_2")
        for attempt in (1, 2)
    ]

    assert len({one.split("-")[1] for one in sent}) == 1
    assert len({one.split("-")[2] for one in sent}) == 4
    assert traceparent("transfer/2", "dlv_1", 1).split("-")[1] != sent[0].split("-")[1]

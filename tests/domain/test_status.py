"""Status: what an answer means, and what of it is news."""

from datetime import UTC, datetime

import pytest

from domain.status import (
    Answer,
    Component,
    Measured,
    Status,
    changes,
    status_of,
    worst,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("component", "ms", "late_ms", "status"),
    [
        ("api", 99, 0, "operational"),
        ("api", 100, 0, "degraded"),
        ("api", None, 0, "down"),
        ("relay", 100, 0, "degraded"),
        ("engine", 5, 30_000, "operational"),
        ("engine", 5, 30_001, "degraded"),
        ("engine", None, 30_001, "down"),
        # That a timer was late says nothing of the others.
        ("database", 5, 30_001, "operational"),
    ],
)
def test_what_an_answer_means(
    component: Component, ms: int | None, late_ms: int, status: Status
) -> None:
    said, reason = status_of(component, Answer(ms), limit_ms=100, late_ms=late_ms)

    assert said == status
    assert reason


def test_only_edges_are_news_and_at_first_all_is_well() -> None:
    def measured(component: Component, status: Status) -> Measured:
        return Measured(component, status, "because", NOON)

    now = [measured("api", "down"), measured("relay", "operational")]

    assert changes({}, now) == [now[0]]
    assert changes({"api": "down"}, now) == []
    assert changes({"api": "degraded", "relay": "degraded"}, now) == now


def test_the_whole_is_as_well_as_its_worst_part() -> None:
    assert worst(["operational", "down", "degraded"]) == "down"
    assert worst(["operational", "degraded"]) == "degraded"
    assert worst([]) == "operational"

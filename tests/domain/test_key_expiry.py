"""Key expiry: which mark is due, and when the next one is."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.key_expiry import SILENT, ExpiryLook, days_remaining, look

END = datetime(2026, 6, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("left", "warned", "due", "next_mark"),
    [
        (45 * DAY, None, None, 30),
        (30 * DAY, None, 30, 7),
        (29 * DAY, 30, None, 7),
        (7 * DAY, 30, 7, 1),
        (1 * DAY, 7, 1, None),
        (HOUR, 1, None, None),
        # Made, or found, late: only the last mark that was reached is told.
        (5 * DAY, None, 7, 1),
        (HOUR, None, 1, None),
        (HOUR, 30, 1, None),
        # Over, or rotated.
        (timedelta(), None, None, None),
        (-DAY, 30, None, None),
        (5 * DAY, SILENT, None, None),
    ],
)
def test_each_mark_is_due_once(
    left: timedelta, warned: int | None, due: int | None, next_mark: int | None
) -> None:
    next_at = END - next_mark * DAY if next_mark else None

    assert look(END, warned=warned, now=END - left) == ExpiryLook(due, next_at)


@pytest.mark.parametrize(
    ("left", "days"),
    [(30 * DAY, 30), (30 * DAY - HOUR, 30), (DAY, 1), (HOUR, 1), (DAY + HOUR, 2)],
)
def test_a_day_that_has_begun_is_a_day_left(left: timedelta, days: int) -> None:
    assert days_remaining(END, END - left) == days

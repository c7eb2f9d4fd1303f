"""Maintenance windows: when they can be."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.maintenance import MaintenanceRefused, MaintenanceWindowRequest, Window, window_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def asked(starts_at: datetime | None, lasts: timedelta = HOUR) -> MaintenanceWindowRequest:
    seconds = int(lasts.total_seconds())
    return MaintenanceWindowRequest(id="w", starts_at=starts_at, lasts_s=seconds)


def test_a_window_without_a_beginning_begins_now() -> None:
    assert window_of(asked(None), NOW) == Window(NOW, NOW + HOUR)


def test_a_window_that_began_is_joined_and_one_that_is_over_is_refused() -> None:
    assert window_of(asked(NOW - HOUR / 2), NOW) == Window(NOW - HOUR / 2, NOW + HOUR / 2)
    with pytest.raises(MaintenanceRefused) as over:
        window_of(asked(NOW - HOUR), NOW)
    assert over.value.reason_code == "window_over"


def test_a_window_is_announced_a_year_ahead_at_most() -> None:
    window_of(asked(NOW + timedelta(days=366)), NOW)
    with pytest.raises(MaintenanceRefused, match="within a year"):
        window_of(asked(NOW + timedelta(days=366, seconds=1)), NOW)

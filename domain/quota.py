"""Quotas: so many in a window, let in one by one as time passes. Pure; the rows are storage's.

A bucket of `limit` tokens that fills at `limit` per window, kept as one moment: when it would be
full again. It needs no counter, and of two that read it late the second sees what the first took.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

WARN_AT_PERCENT = 80
# Of the whole: so much is handed out at once, to be spent by one process without asking again.
LEASED_PART = 100


@dataclass(frozen=True)
class Quota:
    limit: int
    window: timedelta

    @property
    def interval(self) -> timedelta:
        """In which one token comes back."""
        return self.window / self.limit

    @property
    def lease(self) -> int:
        """How many a process takes at once."""
        return max(1, self.limit // LEASED_PART)

    def available(self, full_at: datetime | None, now: datetime) -> int:
        return self.limit - self.used(full_at, now)

    def used(self, full_at: datetime | None, now: datetime) -> int:
        """Rounded up: a token that is not whole is not there."""
        return -(-_ahead(full_at, now) // self.interval)

    def after(self, full_at: datetime | None, now: datetime, taken: int) -> datetime:
        """When it is full again once so many more are taken; or given back, where negative."""
        return now + max(_ahead(full_at, now) + taken * self.interval, timedelta())

    def wait(self, full_at: datetime | None, now: datetime) -> timedelta:
        """Until one can be taken."""
        return max(_ahead(full_at, now) - self.window + self.interval, timedelta())

    def is_worth_a_warning(self, full_at: datetime | None, now: datetime) -> bool:
        return 100 * self.used(full_at, now) >= WARN_AT_PERCENT * self.limit


def _ahead(full_at: datetime | None, now: datetime) -> timedelta:
    return max(full_at - now, timedelta()) if full_at is not None else timedelta()

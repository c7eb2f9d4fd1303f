"""Key expiry: when the owner of an API key is warned that it ends.

Pure: `look` says what is due now, and when there is something to say again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WARN_DAYS: Final = (30, 7, 1)
# What is noted of a key that somebody has rotated: there is nothing left to warn of.
SILENT: Final = 0
DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class KeyExpiryRequest:
    """Whose end to watch: an id, nothing else."""

    key_id: str


@dataclass(frozen=True)
class ExpiryLook:
    """`due` is the mark that was reached and not told, in days; `next_at` when the next one is."""

    due: int | None = None
    next_at: datetime | None = None


def look(expires_at: datetime, *, warned: int | None, now: datetime) -> ExpiryLook:
    """`warned` is the last mark that was told. Of several that were missed only the last is due."""
    left = expires_at - now
    if left <= timedelta() or warned == SILENT:
        return ExpiryLook()
    reached = [days for days in WARN_DAYS if left <= days * DAY]
    ahead = [days for days in WARN_DAYS if left > days * DAY]
    due = min(reached) if reached and (warned is None or min(reached) < warned) else None
    return ExpiryLook(due, expires_at - max(ahead) * DAY if ahead else None)


def days_remaining(expires_at: datetime, now: datetime) -> int:
    """Rounded up: on its last day a key has one day left."""
    return -((now - expires_at) // DAY)

"""Maintenance windows: from when until when, how bad, and whether writes are refused meanwhile.

What a person wrote, title and description, is not in the request: it is `kept` with the run.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from domain.errors import Refused
from domain.saga import SagaRequest

AHEAD_MAX: Final = timedelta(days=366)
EVERYWHERE_TAKES: Final = "tenants.manage"

Impact = Literal["minor", "major", "critical"]
ServiceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class MaintenanceRefused(Refused):
    """There can be no such window, or not by this key."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self._code = code

    @property
    def reason_code(self) -> str:
        return self._code


@dataclass(frozen=True, kw_only=True)
class MaintenanceWindowRequest(SagaRequest):
    """Announce maintenance, and end it. Kept: a `title` and a `description` in words.

    Without `starts_at` it begins at once. While a `read_only` window lasts, the API answers writes
    with 503. It is this tenant's alone, or all tenants': `everywhere` takes a key that may do
    `tenants.manage`. Cancelling ends it early.
    """

    starts_at: AwareDatetime | None = None
    lasts_s: Annotated[int, Field(ge=1, le=604_800)] = 3_600
    impact: Impact = "minor"
    affected_services: Annotated[tuple[ServiceName, ...], Field(max_length=20)] = ("api",)
    read_only: bool = False
    everywhere: bool = False

    @property
    def maintenance_id(self) -> str:
        return self.id if self.id.startswith("mnt_") else f"mnt_{self.id}"


@dataclass(frozen=True)
class Window:
    """When it is to begin, and when it is over: the first instant that is not in it."""

    starts_at: datetime
    ends_at: datetime


def window_of(request: MaintenanceWindowRequest, now: datetime) -> Window:
    """Raises MaintenanceRefused for one that is over already, or too far away."""
    starts_at = request.starts_at or now
    ends_at = starts_at + timedelta(seconds=request.lasts_s)
    if ends_at <= now:
        raise MaintenanceRefused("window_over", "this window is over already")
    if starts_at > now + AHEAD_MAX:
        raise MaintenanceRefused("window_too_far", "a window begins within a year")
    return Window(starts_at, ends_at)

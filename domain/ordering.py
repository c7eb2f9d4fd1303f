"""Order of deliveries: what a delivery's key is, and when the next of a key may go.

Only the head of a key can be claimed. Waiting for it is no failure: nothing is counted, nothing
backs off. What a head that fails does to those behind it is the endpoint's `head_of_line`:

    block           they wait until it is settled
    skip_after:N    they wait for its first N attempts; then it is retried beside them
    park_key        they wait until it is delivered, or a person redelivers or cancels it
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Ordering = Literal["none", "strict", "per_key"]
WHOLE_ENDPOINT: Final = "*"  # The key of every delivery where the order is strict.
KEY_MAX: Final = 200
SKIP_AFTER_MAX: Final = 20
PATH: Final = re.compile(r"data(\.[A-Za-z_][A-Za-z0-9_]{0,63}){1,8}\Z", re.ASCII)
SKIP_AFTER: Final = re.compile(r"skip_after:(\d{1,2})\Z", re.ASCII)


@dataclass(frozen=True)
class HeadOfLine:
    """What a failed head does. `attempts_max`: after so many it lets the others pass."""

    attempts_max: int | None = None
    parks_key: bool = False

    def lets_pass(self, attempts: int) -> bool:
        """Whether those behind a head that is being retried may go."""
        return self.attempts_max is not None and attempts >= self.attempts_max


def parse_head_of_line(text: str) -> HeadOfLine:
    """Read `block`, `skip_after:3` or `park_key`. Raises ValueError."""
    if text == "block":
        return HeadOfLine()
    if text == "park_key":
        return HeadOfLine(parks_key=True)
    match = SKIP_AFTER.match(text)
    if match is None or not 1 <= int(match[1]) <= SKIP_AFTER_MAX:
        raise ValueError(
            f'write "block", "skip_after:N" with N from 1 to {SKIP_AFTER_MAX}, or "park_key"'
        )
    return HeadOfLine(attempts_max=int(match[1]))


def check_key_path(path: str) -> str:
    """A path of the payload, like `data.account_uuid`. Raises ValueError."""
    if PATH.match(path) is None:
        raise ValueError(f'{path!r} is no path of the payload: write one like "data.account_uuid"')
    return path


def ordering_key(
    ordering: str, path: str | None, event_type: str, data: Mapping[str, Any]
) -> str | None:
    """Where an event stands in line. Events without the key stand in the line of their type."""
    if ordering == "strict":
        return WHOLE_ENDPOINT
    if path is None or ordering == "none":
        return None
    found: Any = {"data": data}
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    if found is None or isinstance(found, Mapping | list):
        return f"type:{event_type}"
    return f"key:{found}"[:KEY_MAX]

"""A last look before a POST: may a delivery that waited for its place still be sent?

While it waited, a person may have cancelled or paused it, or its endpoint may have been parked or
disabled. Pure: activities/last_looks.py looks, activities/webhooks.py acts on the word.
"""

from dataclasses import dataclass
from enum import StrEnum

from domain.control import PAUSED
from domain.delivery import DeliveryState
from domain.health import Health
from domain.recording import WAITING


@dataclass(frozen=True)
class Found:
    """How a delivery and its endpoint stand now."""

    state: DeliveryState
    hold: str | None
    health: Health


class Word(StrEnum):
    SEND = "send"
    LEAVE = "leave"  # Whoever changed it has seen to it.
    PAUSE = "pause"  # A person said so after it was claimed: nothing of it has been sent yet.
    PARK = "park"  # With its endpoint.


def last_word(loaded_as: DeliveryState, found: Found, *, is_probe: bool = False) -> Word:
    """`loaded_as` is the state in which it was to be sent: claimed, retrying, or parked (a probe).

    A probe goes to an endpoint although that is parked; none goes to one that is disabled.
    """
    if found.state is not loaded_as:
        return Word.LEAVE
    if found.hold == PAUSED:
        return Word.PAUSE if loaded_as is DeliveryState.CLAIMED else Word.LEAVE
    if is_probe:
        return Word.LEAVE if found.health is Health.DISABLED else Word.SEND
    return Word.PARK if found.health in WAITING else Word.SEND

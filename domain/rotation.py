"""Rotating a signing secret: how long old and new sign side by side, and when it is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from domain.errors import Refused
from domain.signing import LIVE_KEYS_MAX

OVERLAP: Final = timedelta(hours=24)
OVERLAP_MAX: Final = timedelta(days=7)

Kind: TypeAlias = Literal["v1", "v1a"]


class RotationState(StrEnum):
    OVERLAPPING = "overlapping"  # Old and new sign.
    COMPLETED = "completed"  # Only the new one signs.
    ROLLED_BACK = "rolled_back"  # Only the old one signs.


class InvalidOverlap(Refused):
    code = "invalid_overlap"

    def __init__(self, overlap: timedelta) -> None:
        seconds = int(overlap.total_seconds())
        super().__init__(
            f"an overlap lies between 0 seconds and {OVERLAP_MAX.days} days, not {seconds} seconds",
            field="overlap",
        )


class RotationUnderWay(Refused):
    code = "rotation_under_way"

    def __init__(self, ends_at: datetime) -> None:
        super().__init__(
            f"a rotation is under way until {ends_at.isoformat(timespec='seconds')}: "
            "wait for its end, or roll it back",
            ends_at=ends_at.isoformat(),
        )


class NoRotation(Refused):
    code = "no_rotation"

    def __init__(self) -> None:
        super().__init__("no rotation is under way: there is nothing to roll back")


class TooManySecrets(Refused):
    code = "too_many_secrets"

    def __init__(self) -> None:
        super().__init__(
            f"{LIVE_KEYS_MAX} secrets sign for this webhook already: wait until one expires",
            maximum=LIVE_KEYS_MAX,
        )


class KeyPairExists(Refused):
    code = "key_pair_exists"

    def __init__(self) -> None:
        super().__init__("this webhook has a key pair: rotate it, or remove it first")


class NoKeyPair(Refused):
    code = "no_key_pair"

    def __init__(self) -> None:
        super().__init__("this webhook has no key pair: make one first")


@dataclass(frozen=True)
class KeyLife:
    """How long one key signs."""

    id: str
    kind: str
    expires_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True)
class RotationPlan:
    """`expiring` are the ids of the keys that stop to sign at `ends_at`."""

    ends_at: datetime
    expiring: tuple[str, ...]


def plan_rotation(
    keys: Sequence[KeyLife], *, kind: Kind, overlap: timedelta, now: datetime
) -> RotationPlan:
    """Which keys make room for a new one, and when. Raises InvalidOverlap, TooManySecrets, …"""
    if not timedelta() <= overlap <= OVERLAP_MAX:
        raise InvalidOverlap(overlap)
    live = [key for key in keys if key.is_live(now)]
    if len(live) >= LIVE_KEYS_MAX:
        raise TooManySecrets
    ends_at = now + overlap
    expiring = tuple(
        key.id
        for key in live
        if key.kind == kind and (key.expires_at is None or key.expires_at > ends_at)
    )
    if not expiring and kind == "v1a":
        raise NoKeyPair
    return RotationPlan(ends_at, expiring)


@dataclass(frozen=True)
class RotationRequest:
    """What its workflow is given: an id, never a secret."""

    endpoint_id: str


@dataclass(frozen=True)
class RotationView:
    """A rotation that overlaps."""

    rotation_id: str
    endpoint_id: str
    kind: str
    ends_at: datetime

"""What a person may do to one delivery, in whatever state it is: redeliver, cancel, pause, resume.

Pure: `ordered` says the state that follows and whom to tell of it; storage/redelivery.py writes
it down, runtime/delivery_control.py tells the running workflow.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, Literal, TypeAlias

from domain.delivery import SETTLED, DeliveryState
from domain.errors import Refused

Order: TypeAlias = Literal["redeliver", "cancel", "pause", "resume"]
PAUSED: Final = "paused"
KEY_PARKED: Final = "key_parked"


class Nudge(StrEnum):
    """Whom to tell after the commit. Whoever is not told finds out by himself, later."""

    CLAIM = "claim"  # The relay, by the bell.
    RETRY_NOW = "retry_now"  # The delivery's own workflow: its next attempt is due.
    PAUSE_RETRY = "pause_retry"
    STOP_RETRY = "stop_retry"
    PROBE_NOW = "probe_now"  # The endpoint's recovery: probe, with this delivery.


class DeliveryStateConflict(Refused):
    code: ClassVar[str] = "delivery_state_conflict"

    def __init__(self, delivery_id: str, state: str, order: str, why: str) -> None:
        super().__init__(
            f"cannot {order} delivery {delivery_id}: {why}",
            delivery_id=delivery_id,
            state=state,
            action=order,
        )


@dataclass(frozen=True)
class Standing:
    """Where a delivery stands. `has_run`: a workflow of its own retries it, or is paused."""

    delivery_id: str
    state: DeliveryState
    health: str
    hold: str | None = None
    has_run: bool = False
    deleted: bool = False
    expunged: bool = False


@dataclass(frozen=True)
class Ordered:
    """What becomes of it. `again`: it was settled, so it has lost its place in line."""

    state: DeliveryState
    hold: str | None = None
    nudges: tuple[Nudge, ...] = ()
    again: bool = False


def ordered(order: Order, standing: Standing) -> Ordered:
    """Raises DeliveryStateConflict."""
    match order:
        case "redeliver":
            return _redeliver(standing)
        case "cancel":
            return _cancel(standing)
        case "pause":
            return _pause(standing)
        case "resume":
            return _resume(standing)


def _redeliver(standing: Standing) -> Ordered:
    if standing.deleted:
        raise _conflict(standing, "redeliver", "its webhook is deleted")
    if standing.expunged:
        raise _conflict(standing, "redeliver", "its payload is expunged")
    if standing.health == "disabled":
        raise _conflict(standing, "redeliver", "its webhook is disabled: enable it first")
    if standing.state is DeliveryState.CLAIMED:  # It is on its way this moment.
        return Ordered(DeliveryState.CLAIMED)
    again = standing.state in SETTLED
    leave = (Nudge.RETRY_NOW,) if standing.has_run else ()
    if standing.health == "parked":
        return Ordered(DeliveryState.PARKED, nudges=(*leave, Nudge.PROBE_NOW), again=again)
    if standing.has_run:
        return Ordered(DeliveryState.RETRYING, nudges=leave)
    return Ordered(DeliveryState.PENDING, nudges=(Nudge.CLAIM,), again=again)


def _cancel(standing: Standing) -> Ordered:
    if standing.state in SETTLED:
        raise _conflict(standing, "cancel", f"it is {standing.state}")
    return Ordered(DeliveryState.CANCELLED, nudges=(Nudge.STOP_RETRY,) if standing.has_run else ())


def _pause(standing: Standing) -> Ordered:
    if standing.state in SETTLED:
        raise _conflict(standing, "pause", f"it is {standing.state}")
    if standing.hold == PAUSED:
        raise _conflict(standing, "pause", "it is paused")
    if standing.state is DeliveryState.CLAIMED:  # It stops after the attempt that is under way.
        return Ordered(DeliveryState.CLAIMED, PAUSED)
    nudges = (Nudge.PAUSE_RETRY,) if standing.state is DeliveryState.RETRYING else ()
    return Ordered(DeliveryState.PARKED, PAUSED, nudges)


def _resume(standing: Standing) -> Ordered:
    if standing.hold != PAUSED or standing.state in SETTLED:
        raise _conflict(standing, "resume", "it is not paused")
    if standing.state is DeliveryState.CLAIMED:
        return Ordered(DeliveryState.CLAIMED)
    leave = (Nudge.RETRY_NOW,) if standing.has_run else ()
    if standing.deleted or standing.health in ("parked", "recovering", "disabled"):
        return Ordered(DeliveryState.PARKED, nudges=leave)
    if standing.has_run:
        return Ordered(DeliveryState.RETRYING, nudges=leave)
    return Ordered(DeliveryState.PENDING, nudges=(Nudge.CLAIM,))


def _conflict(standing: Standing, order: Order, why: str) -> DeliveryStateConflict:
    return DeliveryStateConflict(standing.delivery_id, standing.state, order, why)

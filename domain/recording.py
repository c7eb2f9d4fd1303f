"""What finally becomes of a delivery, when its attempt is written down.

While the POST was under way, a person may have cancelled, paused or redelivered the delivery, or
others may have failed and opened the breaker. Pure: storage/recording.py reads how things stand,
and writes.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final as Constant

from domain.control import KEY_PARKED, PAUSED
from domain.delivery import (
    SETTLED,
    Decision,
    DeliveryState,
    DisableEndpoint,
    Park,
    Retry,
    Settle,
)
from domain.health import Health

WAITING: Constant = frozenset({Health.PARKED, Health.DISABLED})


@dataclass(frozen=True)
class Standing:
    """How the delivery and its endpoint stand as its attempt is recorded.

    `asked_again`: a person asked for the next attempt when this one was on its way.
    """

    state: DeliveryState
    health: Health
    hold: str | None = None
    parks_key: bool = False
    asked_again: bool = False


@dataclass(frozen=True)
class Final:
    """What is written. Where `state` is None the delivery keeps the state that it has by now.

    `asked_again`: the next attempt is the one a person asked for.
    """

    decision: Decision
    state: DeliveryState | None
    reason: str
    hold: str | None = None
    asked_again: bool = False


def finally_decided(decision: Decision, standing: Standing) -> Final:
    """What was decided about the answer, as far as it still holds."""
    if standing.state in SETTLED:
        return Final(decision, None, decision.reason)
    match decision:
        case DisableEndpoint(reason, delivery):
            inner = finally_decided(delivery, standing)
            return Final(DisableEndpoint(reason, _left(inner)), inner.state, inner.reason)
        case Settle():
            return _settled(decision, standing)
        case Park(reason):
            return _parked(reason)
        case Retry():
            return _retried(decision, standing)


def _retried(decision: Retry, standing: Standing) -> Final:
    if standing.hold == PAUSED:
        return _paused(decision, standing)
    if standing.health in WAITING:
        return _parked(f"endpoint_{standing.health}")
    if standing.asked_again:
        now = replace(decision, delay=timedelta())
        return Final(now, DeliveryState.RETRYING, decision.reason, asked_again=True)
    return Final(decision, DeliveryState.RETRYING, decision.reason)


def _settled(decision: Settle, standing: Standing) -> Final:
    if decision.state is DeliveryState.DEAD_LETTERED and standing.parks_key:
        return Final(Park(KEY_PARKED), DeliveryState.PARKED, decision.reason, KEY_PARKED)
    return Final(decision, decision.state, decision.reason)


def _paused(decision: Retry, standing: Standing) -> Final:
    """A retry of its own keeps its run, which is paused; a first attempt has none yet."""
    if standing.state is DeliveryState.PARKED:
        return Final(decision, DeliveryState.PARKED, PAUSED, PAUSED)
    return Final(Park(PAUSED), DeliveryState.PARKED, PAUSED, PAUSED)


def _parked(reason: str) -> Final:
    return Final(Park(reason), DeliveryState.PARKED, reason)


def _left(final: Final) -> Settle | Park:
    assert isinstance(final.decision, Settle | Park), "an endpoint is disabled without a retry"
    return final.decision

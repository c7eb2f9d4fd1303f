"""Limits and fairness of the claim: how many of an endpoint's deliveries may go now, and whose.

A delivery that may not go waits in its row: no attempt is used up, and no timer runs for it.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

Lane = TypeVar("Lane")
MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Rate:
    """So many in any minute, spread evenly: at most a second's worth at once."""

    per_minute: int

    @property
    def burst(self) -> int:
        return max(1, -(-self.per_minute // 60))

    @property
    def interval(self) -> timedelta:
        """Between two sends. With the burst, no sixty seconds ever see more than `per_minute`."""
        return MINUTE / (self.per_minute - self.burst + 1)

    def available(self, sent_until: datetime | None, now: datetime) -> int:
        """How many may be sent now. `sent_until` is how far the rate is used up."""
        ahead = max(sent_until - now, timedelta()) if sent_until else timedelta()
        return max(0, self.burst - -(-ahead // self.interval))

    def after(self, sent_until: datetime | None, now: datetime, number: int) -> datetime:
        """How far the rate is used up once `number` more are sent."""
        return max(sent_until or now, now) + number * self.interval

    def wait(self, sent_until: datetime | None, now: datetime) -> timedelta:
        """How long until one may be sent."""
        if sent_until is None:
            return timedelta()
        return max(sent_until - (self.burst - 1) * self.interval - now, timedelta())


def free_places(max_in_flight: int, in_flight: int) -> int:
    """How many more may be in flight; none while less than half is free, so that a slow endpoint's
    places are not filled one by one, a claim for each."""
    free = max_in_flight - in_flight
    return free if 2 * free >= max_in_flight else 0


@dataclass(frozen=True)
class Waiting:
    """What a lane could send now: chains of deliveries, each to be sent in its order."""

    tenant_id: str
    endpoint_id: str
    chains: tuple[tuple[str, ...], ...]


def deal(lanes: Iterable[Waiting], places: int) -> list[str]:
    """Fill the places fairly: a chain from each tenant in turn, from its endpoints in turn."""
    tenants: dict[str, deque[deque[tuple[str, ...]]]] = {}
    for lane in lanes:
        if lane.chains:
            tenants.setdefault(lane.tenant_id, deque()).append(deque(lane.chains))
    turns = deque(tenants.values())
    dealt: list[str] = []
    while turns and len(dealt) < places:
        endpoints = turns.popleft()
        chains = endpoints.popleft()
        dealt += chains.popleft()
        if chains:
            endpoints.append(chains)
        if endpoints:
            turns.append(endpoints)
    return dealt


def choose(lanes: Mapping[str, Sequence[Lane]], most: int, turn: int) -> list[Lane]:
    """Choose lanes, given by tenant: one from each, then another from each, in turns.

    With every `turn` another of a tenant's endpoints comes first.
    """
    queues = [deque(_rotated(of_tenant, turn)) for of_tenant in lanes.values()]
    chosen: list[Lane] = []
    while queues and len(chosen) < most:
        chosen += [queue.popleft() for queue in queues[: most - len(chosen)]]
        queues = [queue for queue in queues if queue]
    return chosen


def _rotated(lanes: Sequence[Lane], turn: int) -> Sequence[Lane]:
    start = turn % len(lanes)
    return (*lanes[start:], *lanes[:start])

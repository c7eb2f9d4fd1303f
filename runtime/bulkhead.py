"""A bulkhead: no place takes more than its share, so that a slow one cannot hold up the others."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Congested(Exception):
    """No slot became free in time."""


class Bulkhead:
    """At most `slots_max` holders in all, and `per_place_max` of them for one place."""

    def __init__(self, slots_max: int, per_place_max: int) -> None:
        self._slots = asyncio.Semaphore(slots_max)
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(per_place_max)
        )
        self._users: defaultdict[str, int] = defaultdict(int)

    @property
    def places(self) -> list[str]:
        """Where somebody holds a slot, or waits for one."""
        return list(self._users)

    @asynccontextmanager
    async def slot(self, place: str, until: float) -> AsyncIterator[None]:
        """Hold a slot. Raises Congested when none is free by `until`, in the loop's time."""
        self._users[place] += 1
        try:
            # The place's own limit first: who waits for it must not hold one of everybody's slots.
            await _acquire(self._places[place], until)
            try:
                await _acquire(self._slots, until)
                try:
                    yield
                finally:
                    self._slots.release()
            finally:
                self._places[place].release()
        finally:
            self._forget(place)

    def _forget(self, place: str) -> None:
        self._users[place] -= 1
        if not self._users[place]:
            del self._users[place], self._places[place]


async def _acquire(semaphore: asyncio.Semaphore, until: float) -> None:
    if not semaphore.locked():
        await semaphore.acquire()
        return
    try:
        async with asyncio.timeout_at(until):
            await semaphore.acquire()
    except TimeoutError:
        raise Congested from None

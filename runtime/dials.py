"""How many connections to one origin are made at once.

A receiver takes new connections from a queue of limited length, often 128. Whoever knocks while it
is full is not refused but ignored, and knocks again after a second: so a crowd of new connections
makes a quick receiver look slow. Here only so many are made at a time, and who waits takes what
comes first: a place to dial, or the connection that somebody has just done with.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Hashable


class Dials:
    """One per client. Not to be shared between event loops."""

    def __init__(self, at_once_max: int) -> None:
        self._at_once_max = at_once_max
        self._under_way: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    @property
    def is_idle(self) -> bool:
        return not self._under_way and not self._waiting

    def begin_at_once(self, origin: Hashable) -> bool:
        """Take a place if one is free. Whoever has a place gives it back by `end`."""
        if self._under_way[origin] >= self._at_once_max:
            return False
        self._under_way[origin] += 1
        return True

    async def begin(self, origin: Hashable) -> None:
        """Wait for one's turn: to make a connection, or to find one that is idle."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(origin, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.end(origin)  # It came in the very moment of the cancellation.
            raise

    def end(self, origin: Hashable) -> None:
        """The connection was made, found, or not made: its place is the next one's."""
        self._under_way[origin] -= 1
        if self._under_way[origin] < self._at_once_max:
            self.let_one_more(origin)
        if not self._under_way[origin]:
            del self._under_way[origin]

    def let_one_more(self, origin: Hashable) -> None:
        """A connection is idle again, or closed: one who waits goes beside those who dial."""
        waiting = self._waiting.get(origin)
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                self._under_way[origin] += 1
                turn.set_result(None)
                break
        if waiting is not None and not waiting:
            del self._waiting[origin]

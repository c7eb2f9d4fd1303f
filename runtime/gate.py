"""So many at once, and whoever comes then has the place of the first who leaves."""

import asyncio
from collections import deque


class Gate:
    """Not to be shared between event loops. Whoever has taken a place gives it back."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_idle(self) -> bool:
        return not self._taken and not self._waiting

    def take_at_once(self) -> bool:
        """Take a place if one is free."""
        if self._taken >= self._most:
            return False
        self._taken += 1
        return True

    async def take(self) -> None:
        if self.take_at_once():
            return
        handed_over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(handed_over)
        try:
            await handed_over
        except asyncio.CancelledError:
            if handed_over in self._waiting:
                self._waiting.remove(handed_over)
            elif not handed_over.cancelled():
                self.give()  # It came in the very moment of the cancellation.
            raise

    def give(self) -> None:
        """Hand the place to whoever waits longest, or put it back."""
        self._taken -= 1
        if self._taken < self._most:
            self.let_one_more()

    def let_one_more(self) -> None:
        """Whoever waits longest has a place, even one too many."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._taken += 1
                waiter.set_result(None)
                return

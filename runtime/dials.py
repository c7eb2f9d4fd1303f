"""How many connections to one origin are made at once.

A receiver takes new connections from a queue of limited length, often 128. Whoever knocks while it
is full is not refused but ignored, and knocks again after a second: so a crowd of new connections
makes a quick receiver look slow. Here only so many are made at a time, and who waits takes what
comes first: a place to dial, or the connection that somebody has just done with.
"""

from collections.abc import Hashable

from runtime.gate import Gate


class Dials:
    """One per client: a gate for each origin that somebody dials."""

    def __init__(self, at_once_max: int) -> None:
        self._at_once_max = at_once_max
        self._gates: dict[Hashable, Gate] = {}

    @property
    def is_idle(self) -> bool:
        return not self._gates

    def begin_at_once(self, origin: Hashable) -> bool:
        """Take a place if one is free. Whoever has a place gives it back by `end`."""
        return self._gate(origin).take_at_once()

    async def begin(self, origin: Hashable) -> None:
        """Wait for one's turn: to make a connection, or to find one that is idle."""
        try:
            await self._gate(origin).take()
        except BaseException:
            self._forget_if_idle(origin)
            raise

    def end(self, origin: Hashable) -> None:
        """The connection was made, found, or not made: its place is the next one's."""
        self._gates[origin].give()
        self._forget_if_idle(origin)

    def let_one_more(self, origin: Hashable) -> None:
        """A connection is idle again, or closed: one who waits goes beside those who dial."""
        if gate := self._gates.get(origin):
            gate.let_one_more()

    def _gate(self, origin: Hashable) -> Gate:
        gate = self._gates.get(origin)
        if gate is None:
            gate = self._gates[origin] = Gate(self._at_once_max)
        return gate

    def _forget_if_idle(self, origin: Hashable) -> None:
        gate = self._gates.get(origin)
        if gate is not None and gate.is_idle:
            del self._gates[origin]

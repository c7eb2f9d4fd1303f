"""Places for exchanges: what an endpoint takes at once, and what a tenant may take of a process.

Whoever waits here has not begun an attempt: no deadline runs, and nothing is used up.
"""

from types import TracebackType

from runtime.gate import Gate


class Gates:
    """One per process: claims, retries and probes pass the same gates."""

    def __init__(self, tenant_max: int) -> None:
        self._tenant_max = tenant_max
        self._gates: dict[str, Gate] = {}

    @property
    def is_empty(self) -> bool:
        return not self._gates

    def place(self, tenant_id: str, endpoint_id: str, max_in_flight: int) -> "_Place":
        """`async with` it."""
        return _Place(self, tenant_id, endpoint_id, max_in_flight)

    async def enter(self, place: "_Place") -> None:
        # The endpoint's gate first: who waits for it must not hold one of the tenant's places.
        await self._gate(place.endpoint_id, place.max_in_flight).take()
        try:
            await self._gate(place.tenant_id, self._tenant_max).take()
        except BaseException:
            self._leave(place.endpoint_id)
            raise

    def leave(self, place: "_Place") -> None:
        self._leave(place.tenant_id)
        self._leave(place.endpoint_id)

    def _gate(self, key: str, most: int) -> Gate:
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = Gate(most)
        return gate

    def _leave(self, key: str) -> None:
        gate = self._gates[key]
        gate.give()
        if gate.is_idle:
            del self._gates[key]


class _Place:
    """Written out, as it is on the way of every delivery: a generator costs three times as much."""

    def __init__(self, gates: Gates, tenant_id: str, endpoint_id: str, max_in_flight: int) -> None:
        self._gates = gates
        self.tenant_id = tenant_id
        self.endpoint_id = endpoint_id
        self.max_in_flight = max_in_flight

    async def __aenter__(self) -> None:
        await self._gates.enter(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gates.leave(self)

"""Places for exchanges: what an endpoint takes at once, and what a tenant may take of a process.

Whoever waits here has not begun an attempt: no deadline runs, and nothing is used up.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gates:
    """One per process: claims, retries and probes pass the same gates."""

    def __init__(self, tenant_max: int) -> None:
        self._tenant_max = tenant_max
        self._gates: dict[str, _Gate] = {}

    @asynccontextmanager
    async def place(
        self, tenant_id: str, endpoint_id: str, max_in_flight: int
    ) -> AsyncIterator[None]:
        # The endpoint's gate first: who waits for it must not hold one of the tenant's places.
        async with (
            self._pass(endpoint_id, max_in_flight),
            self._pass(tenant_id, self._tenant_max),
        ):
            yield

    @asynccontextmanager
    async def _pass(self, key: str, most: int) -> AsyncIterator[None]:
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = _Gate(most)
        gate.users += 1
        try:
            async with gate.places:
                yield
        finally:
            gate.users -= 1
            if not gate.users:
                del self._gates[key]


class _Gate:
    def __init__(self, most: int) -> None:
        self.places = asyncio.Semaphore(most)
        self.users = 0

"""Look again at what was loaded a while ago, just before it is sent: many with one query.

A claim may wait long at the gates of its endpoint. What is changed meanwhile (a secret rotated or
rolled back, a URL, a pause, a cancellation) counts for all that is not sent yet.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from activities.addressees import AddressBook, Addressee
from domain.delivery import DeliveryState
from domain.health import Health
from domain.last_look import Found
from runtime.database import Database
from storage.among import among
from storage.outbox import DELIVERIES

# Whoever is sent so soon after it was loaded is not looked at again: the look costs a query.
FRESH_FOR_S = 0.1
GROUP_MAX = 256


@dataclass(frozen=True)
class Looked:
    """What a look found: the endpoint as it is to be sent to now."""

    found: Found
    addressee: Addressee


class LastLooks:
    """One per process. Who comes while a look is under way shares the next one."""

    def __init__(self, database: Database, addresses: AddressBook) -> None:
        self._database = database
        self._addresses = addresses
        self._waiting: list[tuple[Any, asyncio.Future[Looked]]] = []
        self._looking: asyncio.Task[None] | None = None

    async def look(self, row: Any, loaded: Addressee) -> Looked | None:
        """None if what was loaded is still fresh. Raises what the query raised."""
        if time.monotonic() - loaded.opened_at_s < FRESH_FOR_S:
            return None
        done: asyncio.Future[Looked] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_for_groups())
        return await done

    async def _look_for_groups(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
                await self._look_for(group)
        finally:
            self._looking = None

    async def _look_for(self, group: Sequence[tuple[Any, asyncio.Future[Looked]]]) -> None:
        try:
            async with self._database.read() as session:
                looked = await self._read(session, [row for row, _ in group])
        except Exception as error:  # Each waiter's activity fails with it and is retried.
            for _, waiter in group:
                if not waiter.done():
                    waiter.set_exception(error)
            return
        for row, waiter in group:
            if not waiter.done():
                waiter.set_result(looked[row.id])

    async def _read(self, session: AsyncSession, rows: Sequence[Any]) -> dict[str, Looked]:
        query = select(DELIVERIES.c.id, DELIVERIES.c.state, DELIVERIES.c.hold).where(
            among(session, DELIVERIES.c.id, {row.id for row in rows})
        )
        standing = {row.id: row for row in await session.execute(query)}
        endpoint_ids = sorted({row.endpoint_id for row in rows})
        addressees = await self._addresses.look_up(session, endpoint_ids)
        return {row.id: _looked(standing[row.id], addressees[row.endpoint_id]) for row in rows}


def _looked(standing: Any, addressee: Addressee) -> Looked:
    found = Found(DeliveryState(standing.state), standing.hold, Health(addressee.health))
    return Looked(found, addressee)

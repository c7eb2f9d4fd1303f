"""The sandbox under every outside party: a memory of operations, and faults on demand.

It keeps what a good counterparty keeps: an operation is done once by the caller's id and answered
the same ever after, and an operation that was called off before it came is refused when it comes.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import ConnectorRefused, Refused, Unavailable
from domain.sandbox import Faults
from runtime.database import Database
from storage.tables import ConnectorOperation
from storage.types import utc_now


@dataclass(frozen=True)
class Sandbox:
    """The memory of one outside party. `name` tells the parties apart, in rows and in codes."""

    name: str
    database: Database

    async def do(
        self, operation_id: str, request: dict[str, Any], faults: Faults, answer: Callable[[], Any]
    ) -> dict[str, Any]:
        """Do an operation once and return its answer. Raises ConnectorRefused or Unavailable.

        Where `answer` refuses, that is the answer ever after.
        """
        await asyncio.sleep(faults.delay_ms / 1000)

        async def work(session: AsyncSession) -> tuple[str, dict[str, Any]]:
            row = await self._called(session, operation_id, request)
            if row.calls <= faults.unavailable:
                return "unavailable", {}
            if row.state == "new":
                row.state, row.answer = _first_answer(faults, answer)
                row.updated_at = utc_now()
            if row.calls <= faults.unavailable + faults.lose_answer:
                return "unavailable", {}
            return row.state, row.answer

        state, found = await self.database.transact(work)
        if state == "unavailable":
            raise Unavailable(f"{self.name}_unavailable", f"the sandbox {self.name} did not answer")
        if state != "done":
            code = found.get("code", f"{self.name}_called_off")
            text = found.get("text", f"the sandbox {self.name} refused: {code}")
            raise ConnectorRefused(code, text, **found.get("details", {}))
        return found

    async def call_off(self, operation_id: str) -> bool:
        """Undo it, or see to it that it is refused when it comes. True if there was something."""

        async def work(session: AsyncSession) -> bool:
            row = await self._find(session, operation_id)
            if row is None:
                session.add(self._row(operation_id, "called_off", {}))
                return False
            if row.state == "done":
                row.state = "undone"
                row.updated_at = utc_now()
            elif row.state == "new":
                row.state = "called_off"
            return row.state == "undone"

        return await self.database.transact(work)

    async def age(self, operation_id: str) -> timedelta | None:
        """How long ago it was done; None if it was not."""
        async with self.database.read() as session:
            row = await self._find(session, operation_id)
        return utc_now() - row.updated_at if row is not None and row.state == "done" else None

    async def _called(
        self, session: AsyncSession, operation_id: str, request: dict[str, Any]
    ) -> ConnectorOperation:
        row = await self._find(session, operation_id)
        if row is None:
            row = self._row(operation_id, "new", request)
            session.add(row)
        else:
            row.calls += 1
        return row

    async def _find(self, session: AsyncSession, operation_id: str) -> ConnectorOperation | None:
        return await session.get(
            ConnectorOperation, (self.name, operation_id), with_for_update=True
        )

    def _row(self, operation_id: str, state: str, request: dict[str, Any]) -> ConnectorOperation:
        return ConnectorOperation(
            connector=self.name, operation_id=operation_id, state=state, request=request
        )


def _first_answer(faults: Faults, answer: Callable[[], Any]) -> tuple[str, dict[str, Any]]:
    if faults.refuse:
        return "refused", {"code": faults.refuse}
    try:
        return "done", answer()
    except Refused as no:
        return "refused", {"code": no.reason_code, "text": str(no), "details": no.details}


def sandbox_hash(*parts: str) -> str:
    """A hash as chains give one, which says that no chain did. Same parts, same hash."""
    return f"sandbox:0x{hashlib.sha256('/'.join(parts).encode()).hexdigest()}"

"""Read-only: while maintenance asks for it, writes are answered 503 and reads go on.

Every API process asks the table of windows, at most twice a second for each tenant, and only where
something is to be written.
"""

import math
import time
from datetime import datetime
from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import Caller
from api.errors import ApiError
from runtime.database import Database
from storage.maintenance import read_only_until
from storage.types import utc_now

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
KNOWN_FOR_S: Final = 0.5
REMEMBERED_MAX: Final = 10_000
# Whoever holds maintenance must be able to end it.
ALWAYS_OPEN: Final = ("/v2/maintenance-windows/", "/v2/workflows/maintenance_window/")


class ReadOnly:
    """The middleware after authentication: each tenant has windows of its own."""

    def __init__(self, app: ASGIApp, *, database: Database) -> None:
        self._app = app
        self._database = database
        self._known: dict[str, tuple[float, datetime | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_write(scope):
            caller: Caller | None = getattr(Request(scope).state, "caller", None)
            if caller is not None:
                _check(await self._until(caller.tenant_id), utc_now())
        await self._app(scope, receive, send)

    async def _until(self, tenant_id: str) -> datetime | None:
        looked_at, until = self._known.get(tenant_id, (-math.inf, None))
        clock = time.monotonic()
        if clock - looked_at >= KNOWN_FOR_S:
            async with self._database.read() as session:
                until = await read_only_until(session, tenant_id, now=utc_now())
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[tenant_id] = (clock, until)
        return until


def _is_write(scope: Scope) -> bool:
    return scope["method"] not in READS and not scope["path"].startswith(ALWAYS_OPEN)


def _check(until: datetime | None, now: datetime) -> None:
    if until is None or until <= now:
        return
    seconds = math.ceil((until - now).total_seconds())
    text = "maintenance is under way: reads go on, writes are taken again when it is over"
    raise ApiError(text, retry_after_s=seconds).under(503, "maintenance")

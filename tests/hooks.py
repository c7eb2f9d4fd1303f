"""A receiver for delivery tests: answers as it is told to, and remembers what came, and when."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[["Got"], int | float]


@dataclass(frozen=True)
class Got:
    """One POST. `count` says how often this event came, this time included."""

    at: float
    event_id: str
    path: str
    count: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """`answer` gives a status code, or seconds to say nothing in before a 200."""

    answer: Answer = lambda _: 200
    got: list[Got] = field(default_factory=list)
    port: int = 0
    at_once: int = 0
    at_once_max: int = 0
    holds_back_s: float = 0
    _counts: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def ids(self) -> list[str]:
        return [got.event_id for got in self.got]

    async def take(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        try:
            return await self._take(request)
        finally:
            self.at_once -= 1

    async def _take(self, request: web.Request) -> web.Response:
        event_id = request.headers["webhook-id"]
        self._counts[event_id] += 1
        got = Got(
            time.time(),
            event_id,
            request.path,
            self._counts[event_id],
            dict(request.headers),
            await request.read(),
        )
        self.got.append(got)
        await asyncio.sleep(self.holds_back_s)
        answer = self.answer(got)
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = 200
        return web.Response(status=answer)


@asynccontextmanager
async def hook(answer: Answer = lambda _: 200) -> AsyncIterator[Hook]:
    hook = Hook(answer)
    app = web.Application()
    app.router.add_post("/{path:.*}", hook.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    hook.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield hook
    finally:
        await runner.cleanup()

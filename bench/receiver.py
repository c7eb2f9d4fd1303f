"""A receiver that costs as little as one can: `python -m bench.receiver` prints its URL.

POST anything is answered 200. GET /count tells how many came, GET /arrivals when each event did.
"""

import asyncio
import time

import uvloop
from aiohttp import web


class Arrivals:
    """When each event came first, in seconds of the machine's monotonic clock."""

    def __init__(self) -> None:
        self._count = 0
        self._first: dict[str, float] = {}

    async def take(self, request: web.Request) -> web.Response:
        self._count += 1
        self._first.setdefault(request.headers.get("webhook-id", ""), time.monotonic())
        await request.read()
        return web.Response()

    async def count(self, _: web.Request) -> web.Response:
        return web.json_response(self._count)

    async def times(self, _: web.Request) -> web.Response:
        return web.json_response(self._first)


async def serve() -> None:
    arrivals = Arrivals()
    app = web.Application()
    app.router.add_get("/count", arrivals.count)
    app.router.add_get("/arrivals", arrivals.times)
    app.router.add_post("/{path:.*}", arrivals.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)  # noqa: T201 - for the parent
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())

"""An API process that kills itself at a point of a request, as the kernel would.

`python -m tests.api.mortal_api DATA_DIR DATABASE_URL TEMPORAL_ADDRESS QUEUE POINT` prints its URL.
POINT is `before commit N`, `after commit N`, `before start` or `after start`; commits are counted
from the moment at which a POST comes in.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.client import Client

import api.starting
import runtime.starting
from api.app import create_app
from api.dependencies import Services
from runtime.database import Database
from runtime.policy import url_policy
from runtime.settings import Settings
from runtime.temporal import CONVERTER
from runtime.vault import Vault
from storage.tables import SagaRun
from tests.api.serving import serve

KILLED = 137
Result = TypeVar("Result")


class Fate:
    def __init__(self, point: str) -> None:
        self._point = point
        self._posted = False
        self.commits = 0

    def begin(self) -> None:
        self._posted = True

    def meet(self, point: str) -> None:
        if self._posted and point == self._point:
            os._exit(KILLED)


class MortalDatabase(Database):
    def __init__(self, url: str, fate: Fate) -> None:
        super().__init__(url)
        self._fate = fate

    async def transact(self, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        self._fate.commits += 1
        number = self._fate.commits

        async def until_commit(session: AsyncSession) -> Result:
            result = await work(session)
            await session.flush()
            self._fate.meet(f"before commit {number}")
            return result

        result = await super().transact(until_commit)
        self._fate.meet(f"after commit {number}")
        return result


class Posts:
    """The middleware that sees a POST come in."""

    def __init__(self, app: ASGIApp, *, fate: Fate) -> None:
        self._app, self._fate = app, fate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            self._fate.commits = 0
            self._fate.begin()
        await self._app(scope, receive, send)


async def main(data_dir: str, database_url: str, address: str, queue: str, point: str) -> None:
    fate = Fate(point)
    start = runtime.starting.start_run

    async def mortal_start(temporal: Client, run: SagaRun) -> None:
        fate.meet("before start")
        await start(temporal, run)
        fate.meet("after start")

    vars(runtime.starting)["SAGA_QUEUE"] = queue
    vars(api.starting)["start_run"] = mortal_start
    settings = Settings(data_dir=Path(data_dir), database_url=database_url)
    services = Services(
        settings=settings,
        database=MortalDatabase(settings.resolved_database_url, fate),
        temporal=await Client.connect(address, data_converter=CONVERTER),
        vault=Vault([bytes(32)]),
        policy=url_policy(settings),
    )
    app = create_app(services)
    app.add_middleware(Posts, fate=fate)
    async with serve(app) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

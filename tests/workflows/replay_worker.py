"""A worker process that runs replays, for tests that kill it."""

import asyncio
import sys

from temporalio.client import Client

from activities.replays import SqlReplayActivities
from runtime.database import Database
from runtime.temporal import CONVERTER
from tests.conftest import worker


async def main(address: str, queue: str, database_url: str) -> None:
    temporal = await Client.connect(address, data_converter=CONVERTER)
    async with worker(temporal, queue, [SqlReplayActivities(Database(database_url))]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""A whole stack in processes of its own, as `sagapost up` runs it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from cli.demo.client import Client
from cli.demo.processes import Listener, RunningStack, start_listener, start_stack
from tests.schema import empty_database


@pytest_asyncio.fixture
async def stack(database_url: str, tmp_path: Path) -> AsyncIterator[RunningStack]:
    """On SQLite and on PostgreSQL."""
    async with empty_database(database_url) as url:
        running = await start_stack(tmp_path, SAGAPOST_DATABASE_URL=url)
        yield running
        await running.stop()


@pytest_asyncio.fixture
async def api(stack: RunningStack) -> AsyncIterator[Client]:
    async with Client(stack.ready.api_url, stack.ready.api_key or "") as client:
        yield client


@pytest_asyncio.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    """A receiver that answers 500 to the first POST of each event."""
    running = await start_listener(tmp_path, "receiver", "--fail-first", "1")
    yield running
    await running.stop()

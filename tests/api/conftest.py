"""The API as a client meets it: a real database, a real engine, and a worker where one is asked."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app
from api.dependencies import Services
from runtime.database import Database
from runtime.policy import url_policy
from runtime.settings import Settings
from runtime.vault import Vault
from storage.bootstrap import first_key
from tests.conftest import fresh_database, worker
from worker.build import saga_implementations


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        database_url=f"sqlite:///{tmp_path / 'test.db'}",
        api_body_bytes_max=4_096,
    )


@pytest_asyncio.fixture
async def api_database(settings: Settings) -> AsyncIterator[Database]:
    async with fresh_database(settings.resolved_database_url) as database:
        yield database


@pytest.fixture
def services(settings: Settings, api_database: Database, temporal: Client) -> Services:
    return Services(
        settings=settings,
        database=api_database,
        temporal=temporal,
        vault=Vault([bytes(32)]),
        policy=url_policy(settings),
    )


@pytest_asyncio.fixture
async def key(settings: Settings, services: Services) -> str:
    made = await first_key(settings.resolved_database_url, None)
    assert made is not None
    return made


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services)


@pytest_asyncio.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api/v2") as client:
        yield client


@pytest_asyncio.fixture
async def api(app: FastAPI, key: str, queue: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the root key."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://api/v2", headers=headers
    ) as client:
        yield client


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> str:
    """A task queue of the test's own: no worker of another test takes its workflows."""
    name = f"sagas-{uuid4()}"
    monkeypatch.setattr("runtime.starting.SAGA_QUEUE", name)
    return name


@pytest_asyncio.fixture
async def working(queue: str, services: Services) -> AsyncIterator[None]:
    """A worker runs the sagas."""
    implementations = saga_implementations(services.settings, services.database)
    async with worker(services.temporal, queue, implementations):
        yield

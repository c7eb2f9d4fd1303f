"""One bank for the tests of a module: a database, a worker, and accounts with money in them."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.worker import Worker

from runtime.settings import Settings
from runtime.temporal import ErrorsAsFailures, activity_methods, workflow_runner
from tests.conftest import fresh_database
from tests.workflows.sagas.bank import Bank, Refusals
from worker.build import saga_implementations
from workflows.registry import saga_workflows


@pytest_asyncio.fixture(scope="module")
async def bank(temporal: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bank]:
    folder = tmp_path_factory.mktemp("bank")
    settings = Settings(data_dir=folder, transfer_fee_basis_points=50)
    refusals = Refusals()
    async with fresh_database(f"sqlite+aiosqlite:///{folder / 'bank.db'}") as database:
        bank = Bank(temporal, database, uuid4().hex, refusals)
        async with Worker(
            temporal,
            task_queue=bank.queue,
            workflows=saga_workflows(),
            activities=activity_methods(saga_implementations(settings, database)),
            workflow_runner=workflow_runner(),
            interceptors=[ErrorsAsFailures(), refusals],
            # Replay from history at every step: catches non-determinism. Without a cache a run
            # whose local activity is under way is lost when the task of another one comes in.
            max_cached_workflows=0,
            max_concurrent_workflow_tasks=1,
        ):
            yield bank

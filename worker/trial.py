"""Try a saga: a real Temporal server in memory, an empty database, a worker, and nothing else.

For tests, of our sagas and of those in other packages:

    async with trial(tmp_path, collect_dues) as bank:
        await bank.open_account("a", 10_000)
        outcome = await bank.run("collect_dues", request)
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain.ids import new_uuid
from domain.ledger import bank_account_id, ledger_account_id, move
from domain.money import Money
from domain.saga import SagaRequest
from runtime.database import Database
from runtime.embedded import SEARCH_ATTRIBUTES, temporal_binary
from runtime.settings import Settings
from runtime.starting import start_run
from runtime.temporal import (
    CONVERTER,
    SAGA_QUEUE,
    ErrorsAsFailures,
    activity_methods,
    workflow_runner,
)
from storage import ledger, views
from storage.ledger_tables import Account
from storage.migrate import upgrade
from storage.tables import SagaRun, Tenant
from worker.build import saga_implementations
from workflows.registry import all_sagas, saga_in

TENANT = "trial"


@dataclass(frozen=True)
class Balance:
    """What an account has, and how much of that is set aside, in minor units."""

    posted_minor: int
    held_minor: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `story` are the types of the events it told, in order."""

    state: str
    failure_code: str | None
    result: dict[str, Any]
    story: list[str]


class Bank:
    """A bank with nothing in it yet."""

    def __init__(self, temporal: Client, database: Database) -> None:
        self._temporal = temporal
        self._database = database

    async def open_account(
        self, account_id: str, balance_minor: int = 0, *, asset: str = "USD", status: str = "active"
    ) -> None:
        """Make an account with money in it. Its status may be pending, active, frozen or closed."""
        own = ledger_account_id(account_id, asset)

        async def work(session: AsyncSession) -> None:
            session.add(
                Account(id=account_id, tenant_id=TENANT, user_uuid="u", name="n", status=status)
            )
            await session.flush()
            await ledger.open_ledger_account(session, own, tenant_id=TENANT, account_id=account_id)
            if balance_minor:
                cash = bank_account_id(TENANT, "cash", asset)
                money = Money(balance_minor, asset)
                entry = move(f"{account_id}/first", "deposit", debit=cash, credit=own, money=money)
                await ledger.post(session, entry, tenant_id=TENANT)

        await self._database.transact(work)

    async def balance(self, account_id: str, *, asset: str = "USD") -> Balance:
        async with self._database.read() as session:
            rows = (await views.balances_of(session, [account_id]))[account_id]
        [row] = [row for row in rows if row.asset_code == asset]
        return Balance(row.credits_posted - row.debits_posted, row.debits_pending)

    async def run(self, saga_type: str, request: SagaRequest) -> Outcome:
        """Run a saga to its end, as the API would. Without an id it gets a new one."""
        request = replace(request, id=request.id or new_uuid())
        workflow_id = f"{saga_type}/{request.id}"
        await self._database.transact(lambda session: _accept(session, saga_type, request))
        async with self._database.read() as session:
            await start_run(self._temporal, await session.get_one(SagaRun, workflow_id))
        with contextlib.suppress(WorkflowFailureError):
            await self._temporal.get_workflow_handle(workflow_id).result()
        return await self._outcome(workflow_id)

    async def _outcome(self, workflow_id: str) -> Outcome:
        async with self._database.read() as session:
            run = await session.get_one(SagaRun, workflow_id)
            events = await views.story_of(session, workflow_id)
        return Outcome(
            state=run.state,
            failure_code=(run.failure or {}).get("code"),
            result=run.result or {},
            story=[event.type for event in events],
        )


@asynccontextmanager
async def trial(folder: Path, *modules: ModuleType) -> AsyncIterator[Bank]:
    """`modules` are sagas to try that the registry does not know: of a package not installed."""
    workflows = {name: saga.workflow for name, saga in all_sagas().items()}
    for module in modules:
        saga = saga_in(module)
        workflows.setdefault(saga.name, saga.workflow)
    settings = Settings(data_dir=folder)
    async with _database(settings) as database, await _temporal_server() as environment:
        temporal = environment.client
        async with Worker(
            temporal,
            task_queue=SAGA_QUEUE,
            workflows=list(workflows.values()),
            activities=activity_methods(saga_implementations(settings, database)),
            workflow_runner=workflow_runner(),
            interceptors=[ErrorsAsFailures()],
            max_cached_workflows=0,  # Replay from history at every step: catches non-determinism.
        ):
            yield Bank(temporal, database)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    url = f"sqlite+aiosqlite:///{settings.data_dir / f'trial-{uuid4().hex}.db'}"
    await asyncio.to_thread(upgrade, url)
    database = Database(url)
    await database.transact(_add_tenant)
    try:
        yield database
    finally:
        await database.close()


async def _temporal_server() -> WorkflowEnvironment:
    attributes = [
        part for name in SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword")
    ]
    soon = ["--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"']
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(temporal_binary()),
        data_converter=CONVERTER,
        dev_server_extra_args=[*attributes, *soon],
    )


async def _add_tenant(session: AsyncSession) -> None:
    session.add(Tenant(id=TENANT, name="a bank to try sagas in"))


async def _accept(session: AsyncSession, saga_type: str, request: SagaRequest) -> None:
    session.add(
        SagaRun(
            workflow_id=f"{saga_type}/{request.id}",
            tenant_id=TENANT,
            type=saga_type,
            request={"input": to_jsonable_python(request), "kept": {}},
            initiated_by="trial",
        )
    )

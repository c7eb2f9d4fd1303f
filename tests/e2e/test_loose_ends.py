"""What fell between two chairs is picked up: never started, or ended by somebody from outside."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client as Temporal

from cli.demo.client import Client
from cli.demo.processes import RunningStack, start_stack
from runtime.database import Database
from storage.tables import SagaRun
from storage.tenants import DEFAULT_TENANT
from tests.worker.runs import accepted, an_account

pytestmark = pytest.mark.timeout(300)

STARTED_WITHIN_S = 30
TOLD_WITHIN_S = 60
LOST = 25
SLOW_RAIL = {"rail": {"confirm_after_ms": 600_000}}


async def test_every_saga_that_was_accepted_and_not_started_is_picked_up(tmp_path: Path) -> None:
    async with running(tmp_path) as (stack, api):
        lost = [accepted("open_account", an_account(100)) for _ in range(LOST)]
        await commit(stack, lost)  # As an API does that dies right after its commit.

        async with asyncio.timeout(STARTED_WITHIN_S):
            for run in lost:
                await until_state(api, run.workflow_id, "running", "completed")

        for run in lost:
            await until_state(api, run.workflow_id, "completed")


async def test_sagas_accepted_while_the_engine_is_away_are_started_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as (stack, api):
        os.kill(stack.ready.pids["temporal"] or 0, signal.SIGKILL)

        accounts = await asyncio.gather(*(open_account(api, 100) for _ in range(5)))

        for account in accounts:
            await until_state(api, account["workflow_id"], "completed")


async def test_a_terminated_saga_tells_its_end_and_can_be_undone(tmp_path: Path) -> None:
    async with running(tmp_path) as (stack, api):
        payer, payee = await open_account(api, 10_000), await open_account(api, 0)
        body = {"from_account": payer["id"], "to_account": payee["id"], "amount": "50.00"}
        transfer = await api.post("/v2/transfers", body | {"rail": "wire", "sandbox": SLOW_RAIL})
        workflow_id = transfer["workflow_id"]
        await until_event(api, workflow_id, "transfer.pending")

        await (await engine(stack)).get_workflow_handle(workflow_id).terminate()
        async with asyncio.timeout(TOLD_WITHIN_S):
            await until_event(api, workflow_id, "workflow.failed")
        needed = await sagapost(tmp_path, stack, "doctor")
        undone = await sagapost(tmp_path, stack, "sagas", "undo", workflow_id)
        looked_after = await sagapost(tmp_path, stack, "doctor")

        assert f"`sagapost sagas undo {workflow_id}`" in needed
        assert "is undone" in undone
        assert "✗" not in looked_after
        payer = await api.get(f"/v2/accounts/{payer['id']}")
        assert payer["available_balance"] == "100.00"


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[RunningStack, Client]]:
    stack = await start_stack(folder, SAGAPOST_RECONCILE_INTERVAL="2s")
    try:
        async with Client(stack.ready.api_url, stack.ready.api_key or "") as api:
            yield stack, api
    finally:
        await stack.stop()


async def commit(stack: RunningStack, runs: list[SagaRun]) -> None:
    database = Database(stack.ready.database_url)

    async def work(session: AsyncSession) -> None:
        session.add_all(
            [SagaRun(**run.model_dump() | {"tenant_id": DEFAULT_TENANT}) for run in runs]
        )

    await database.transact(work)
    await database.close()


async def open_account(api: Client, balance_minor: int) -> dict[str, Any]:
    body = {"user_uuid": "u", "name": "test", "initial_balance": balance_minor}
    account: dict[str, Any] = await api.post("/v2/accounts", body)
    return account


async def engine(stack: RunningStack) -> Temporal:
    ready = stack.ready
    return await Temporal.connect(ready.temporal_address, namespace=ready.temporal_namespace)


async def until_state(api: Client, workflow_id: str, *states: str) -> None:
    while True:
        if (await api.get(f"/v2/workflows/{workflow_id}"))["state"] in states:
            return
        await asyncio.sleep(0.2)


async def until_event(api: Client, workflow_id: str, event_type: str) -> None:
    while True:
        events = (await api.get(f"/v2/workflows/{workflow_id}"))["events"]
        if event_type in [event["type"] for event in events]:
            return
        await asyncio.sleep(0.2)


async def sagapost(folder: Path, stack: RunningStack, *arguments: str) -> str:
    """A command of somebody at the same machine, while the stack runs."""
    ready = stack.ready
    _, _, api_port = ready.api_url.rpartition(":")
    ports = {
        "SAGAPOST_API_PORT": api_port,
        "SAGAPOST_TEMPORAL_PORT": ready.temporal_address.rpartition(":")[2],
        "SAGAPOST_TEMPORAL_UI_PORT": ready.temporal_ui_url.rpartition(":")[2],
        "SAGAPOST_DATA_DIR": str(folder / "data"),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "cli.main", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **ports},
    )
    output, _ = await process.communicate()
    return output.decode()

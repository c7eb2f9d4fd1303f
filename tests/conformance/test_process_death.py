"""Processes that really die: a worker is killed at a point, and another one takes over."""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client

from conformance.checking import Run, wrong_with
from conformance.faults import BEFORE, Fault, Injection, Point, after_commit, before_commit
from conformance.running import Runner, Worlds
from runtime.database import Database
from runtime.settings import Settings
from storage.audit import check_books
from tests.conformance.mortal_worker import KILLED
from tests.conftest import worker
from worker.build import saga_implementations
from workflows.registry import all_sagas

ROOT = Path(__file__).parents[2]
TRANSFER = all_sagas()["transfer"]

REFUSED = Injection(Point("transfer", "settle_transfer", undo=False, place=BEFORE), Fault.REFUSAL)


def killed(step: str, place: str, *, undo: bool = False) -> Injection:
    return Injection(Point("transfer", step, undo, place), Fault.DEATH)


DEATHS = {
    "before a hold is placed": (killed("hold_source", BEFORE),),
    "before a hold is committed": (killed("hold_source", before_commit(1)),),
    "after a hold is committed": (killed("hold_source", after_commit(1)),),
    "after the money has moved": (killed("settle_transfer", after_commit(1)),),
    "after the end was told": (killed("end", after_commit(1)),),
    "after a hold was released": (REFUSED, killed("hold_source", after_commit(1), undo=True)),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_another_worker_finishes_what_a_killed_one_began(
    temporal: Client, sqlite: Database
) -> None:
    clean = await survive(temporal, sqlite, ())
    runs = await asyncio.gather(
        *(survive(temporal, sqlite, injections, clean) for injections in DEATHS.values())
    )

    assert clean.completed
    for death, run in zip(DEATHS, runs, strict=True):
        expected = "failed" if REFUSED in DEATHS[death] else "completed"
        assert wrong_with(run, clean, expected) == [], death
    async with sqlite.read() as session:
        assert await check_books(session) == []


async def survive(
    temporal: Client,
    database: Database,
    injections: tuple[Injection, ...],
    clean: Run | None = None,
) -> Run:
    """Run a transfer on a worker that is killed, if it is, and then on a healthy one."""
    queue = uuid4().hex
    sagas, worlds = all_sagas(), Worlds(database)
    runner = Runner(temporal, database, queue, sagas, worlds, task_timeout=timedelta(seconds=2))
    running = asyncio.create_task(runner.run(TRANSFER, TRANSFER.example, clean=clean))
    if injections:
        await die(temporal, queue, database.url, injections)
    async with worker(temporal, queue, saga_implementations(Settings(), database)):
        finished = await running
    finished.case.fired += injections
    [run] = await runner.see([finished])
    return run


async def die(temporal: Client, queue: str, url: str, injections: tuple[Injection, ...]) -> None:
    described = [{"point": asdict(one.point), "fault": one.fault.name} for one in injections]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.conformance.mortal_worker"),
        *(temporal.service_client.config.target_host, queue, url, json.dumps(described)),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    assert process.returncode == KILLED, told.decode()

"""A worker process that kills itself at a point, as the kernel would: nothing after it happens."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass

from temporalio.client import Client
from temporalio.worker import Worker

from conformance.faults import Fault, Injection, Point, Visit
from conformance.injecting import Case, Cases, FaultyDatabase, Injector
from domain.saga import SagaInfo
from runtime.settings import Settings
from runtime.temporal import CONVERTER, ErrorsAsFailures, activity_methods, workflow_runner
from worker.build import saga_implementations
from workflows.registry import saga_workflows

KILLED = 137


@dataclass
class Mortal(Case):
    def due(self, visit: Visit, place: str) -> Fault | None:
        fault = super().due(visit, place)
        if fault is Fault.DEATH:
            os._exit(KILLED)
        return fault


class Only(Cases):
    """Every workflow is this case's."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self._case = case

    def of(self, saga: SagaInfo) -> Case | None:
        return self._case


async def main(address: str, queue: str, database_url: str, injections: str) -> None:
    temporal = await Client.connect(address, data_converter=CONVERTER)
    found = tuple(
        Injection(Point(**one["point"]), Fault[one["fault"]]) for one in json.loads(injections)
    )
    implementations = saga_implementations(Settings(), FaultyDatabase(database_url))
    async with Worker(
        temporal,
        task_queue=queue,
        workflows=saga_workflows(),
        activities=activity_methods(implementations),
        workflow_runner=workflow_runner(),
        interceptors=[Injector(Only(Mortal(found))), ErrorsAsFailures()],
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

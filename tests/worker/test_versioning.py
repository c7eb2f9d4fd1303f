"""A new build takes new runs; what began on the old one ends as docs/versioning.md says."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import VersioningBehavior
from temporalio.service import RPCError
from temporalio.worker import Replayer, Worker

from runtime.settings import Settings
from runtime.temporal import CONVERTER, DELIVERY_QUEUE, RETRY_QUEUE, SAGA_QUEUE, workflow_runner
from tests.worker.builds import FirstBuild, PatchedBuild, SecondBuild
from worker.main import deployment_config


async def test_a_saga_ends_on_the_build_that_began_it(temporal: Client) -> None:
    house = House(temporal, SAGA_QUEUE)
    async with house.worker("1", FirstBuild):
        await house.make_current("1")
        old = await house.begun()
        async with house.worker("2", SecondBuild):
            await house.make_current("2")
            new = await house.begun()

            assert await ends(old) == "first"
            assert await ends(new) == "second"


async def test_a_delivery_goes_on_with_the_new_build(temporal: Client) -> None:
    house = House(temporal, DELIVERY_QUEUE)
    async with house.worker("1", FirstBuild):
        await house.make_current("1")
        old = await house.begun()
    async with house.worker("2", PatchedBuild):
        await house.make_current("2")

        assert await ends(old) == "first, on the second build"
        assert await ends(await house.begun()) == "second"


async def test_without_a_current_build_nothing_is_given_to_a_versioned_worker(
    temporal: Client,
) -> None:
    house = House(temporal, SAGA_QUEUE)
    async with house.worker("1", FirstBuild):
        run = await house.started()
        await asyncio.sleep(0.5)
        assert (await run.fetch_history()).events[-1].event_id == 2, "scheduled, and not begun"

        await house.make_current("1")
        assert await ends(run) == "first"


async def test_a_build_that_does_not_fit_a_running_history_fails_its_replay(
    temporal: Client,
) -> None:
    house = House(temporal, SAGA_QUEUE)
    async with house.worker("1", FirstBuild):
        await house.make_current("1")
        run = await house.begun()
        assert await ends(run) == "first"
    history = await run.fetch_history()

    async def replay(build: type) -> Exception | None:
        replayer = Replayer(
            workflows=[build], data_converter=CONVERTER, workflow_runner=workflow_runner()
        )
        found = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        return found.replay_failure

    assert "TMPRL1100" in str(await replay(SecondBuild))
    assert await replay(PatchedBuild) is None


def test_versioning_is_off_unless_it_is_set() -> None:
    assert deployment_config(Settings(), SAGA_QUEUE) is None


def test_sagas_stay_on_their_build_and_deliveries_do_not() -> None:
    settings = Settings(worker_deployment="bank", worker_build_id="1.2")
    behaviors = {}
    for queue in (SAGA_QUEUE, DELIVERY_QUEUE, RETRY_QUEUE):
        config = deployment_config(settings, queue)
        assert config is not None
        behaviors[queue] = config.default_versioning_behavior

    assert behaviors == {
        SAGA_QUEUE: VersioningBehavior.PINNED,
        DELIVERY_QUEUE: VersioningBehavior.AUTO_UPGRADE,
        RETRY_QUEUE: VersioningBehavior.AUTO_UPGRADE,
    }


def test_a_deployment_without_a_build_is_refused() -> None:
    with pytest.raises(ValidationError, match="set both or neither"):
        Settings(worker_deployment="bank")


class House:
    """A deployment of its own, on a queue of its own, that behaves as `kind` does."""

    def __init__(self, temporal: Client, kind: str) -> None:
        self._temporal = temporal
        self._kind = kind
        self._queue = f"versioned-{uuid4()}"
        self._deployment = f"bank-{uuid4()}"

    def worker(self, build_id: str, workflow: type) -> Worker:
        settings = Settings(worker_deployment=self._deployment, worker_build_id=build_id)
        return Worker(
            self._temporal,
            task_queue=self._queue,
            workflows=[workflow],
            workflow_runner=workflow_runner(),
            deployment_config=deployment_config(settings, self._kind),
        )

    async def make_current(self, build_id: str) -> None:
        """As `temporal worker deployment set-current-version` does; the worker may just begin."""
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self._temporal.namespace,
            deployment_name=self._deployment,
            build_id=build_id,
        )
        async with asyncio.timeout(20):
            while True:
                try:
                    await self._temporal.workflow_service.set_worker_deployment_current_version(
                        request
                    )
                except RPCError:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def started(self) -> WorkflowHandle[Any, str]:
        return await self._temporal.start_workflow(
            "wait_and_say", id=f"wait_and_say/{uuid4()}", task_queue=self._queue, result_type=str
        )

    async def begun(self) -> WorkflowHandle[Any, str]:
        """Started, and its first task done: from here on it belongs to a build."""
        run = await self.started()
        async with asyncio.timeout(20):
            while len((await run.fetch_history()).events) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return run


async def ends(run: WorkflowHandle[Any, str]) -> str:
    await run.signal("go_on")
    async with asyncio.timeout(20):
        return await run.result()

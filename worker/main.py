"""The worker process: builds everything once, then runs workflows, activities and its own loops."""

import asyncio
import contextlib
import gc
import signal

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from runtime.database import Database
from runtime.settings import Settings
from runtime.supervisor import mark_ready
from runtime.temporal import (
    DELIVERY_QUEUE,
    RETRY_QUEUE,
    SAGA_QUEUE,
    ErrorsAsFailures,
    activity_methods,
    connect,
    workflow_runner,
)
from runtime.wakeup import Bell, listen_for_ever
from worker.build import Implementations, build
from worker.relay import Relay
from worker.sweeper import Sweeper
from worker.upkeep import Upkeep
from workflows.registry import DELIVERY_WORKFLOWS, RETRY_WORKFLOWS, saga_workflows


async def run(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM; then let what is running end, within the grace."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bell = Bell(settings.data_dir)
    bell.listen()
    database = Database(settings.resolved_database_url, bell=bell)
    try:
        temporal = await connect(settings)
        async with (
            build(settings, database, temporal) as implementations,
            asyncio.TaskGroup() as group,
        ):
            workers = make_workers(temporal, settings, implementations)
            async with contextlib.AsyncExitStack() as running:
                for worker in workers:
                    await running.enter_async_context(worker)
                background = [
                    group.create_task(Relay(database, temporal, settings).run()),
                    group.create_task(Upkeep(database, temporal, settings).run()),
                    group.create_task(Sweeper(database, temporal).run()),
                    *_listening(group, database, bell),
                ]
                _let_garbage_wait()
                mark_ready(settings, "worker")
                await stop.wait()
                for task in background:
                    task.cancel()
    finally:
        bell.close()
        await database.close()


def _let_garbage_wait() -> None:
    """What was built by now stays: looking through it for cycles again and again took a fifth of
    the worker's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _listening(
    group: asyncio.TaskGroup, database: Database, bell: Bell
) -> list[asyncio.Task[None]]:
    if database.is_sqlite:
        return []
    return [group.create_task(listen_for_ever(database.url, bell))]


def make_workers(
    temporal: Client, settings: Settings, implementations: Implementations
) -> list[Worker]:
    """One worker per queue: a burst of deliveries leaves the sagas their slots, and retries that
    hang leave fresh deliveries theirs."""
    return [
        _worker(temporal, settings, SAGA_QUEUE, saga_workflows(), implementations.sagas),
        _worker(
            temporal, settings, DELIVERY_QUEUE, list(DELIVERY_WORKFLOWS), implementations.deliveries
        ),
        _worker(temporal, settings, RETRY_QUEUE, list(RETRY_WORKFLOWS), implementations.retries),
    ]


def _worker(
    temporal: Client,
    settings: Settings,
    queue: str,
    workflows: list[type],
    implementations: tuple[object, ...],
) -> Worker:
    return Worker(
        temporal,
        task_queue=queue,
        workflows=workflows,
        activities=activity_methods(implementations),
        workflow_runner=workflow_runner(sandboxed=settings.worker_sandbox),
        interceptors=[ErrorsAsFailures()],
        max_cached_workflows=settings.worker_cached_workflows_max,
        max_concurrent_workflow_tasks=settings.worker_workflow_tasks_max,
        max_concurrent_activities=settings.worker_activities_max,
        max_concurrent_local_activities=settings.worker_activities_max,
        graceful_shutdown_timeout=settings.worker_shutdown_grace,
        deployment_config=deployment_config(settings, queue),
    )


def deployment_config(settings: Settings, queue: str) -> WorkerDeploymentConfig | None:
    """A saga ends on the build that began it; a delivery, which may take days, goes on with new
    ones. None where versioning is off."""
    if not settings.worker_deployment:
        return None
    behavior = VersioningBehavior.AUTO_UPGRADE
    if queue == SAGA_QUEUE:
        behavior = VersioningBehavior.PINNED
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(settings.worker_deployment, settings.worker_build_id),
        use_worker_versioning=True,
        default_versioning_behavior=behavior,
    )

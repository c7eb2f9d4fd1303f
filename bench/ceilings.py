"""The two ceilings: the engine with nothing to do, and the client with nothing around it."""

import asyncio
import time
from datetime import timedelta
from uuid import uuid4

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.figures import Latency
from domain.catalogue import YieldHarvested
from domain.envelope import Envelope
from domain.url_policy import UrlPolicy
from runtime.http import WebhookClient
from storage.types import utc_now

QUEUE = "bench"
IN_FLIGHT = 50
IDLE_ROUNDS = 30
WORKFLOWS = 400
POSTS = 3_000
DEADLINE = timedelta(seconds=15)


@workflow.defn(name="empty")
class Empty:
    @workflow.run
    async def run(self) -> None:
        """Nothing: what is left is the engine."""


async def idle(temporal: Client) -> Latency:
    """One empty workflow at a time, from its start to its end."""
    async with _worker(temporal):
        await _run_empty(temporal)
        return Latency.of([await _timed(temporal) for _ in range(IDLE_ROUNDS)])


async def busy(temporal: Client) -> float:
    """Empty workflows per second, many at a time."""
    async with _worker(temporal):
        await _run_empty(temporal)
        began = time.perf_counter()
        await _side_by_side(_run_empty(temporal) for _ in range(WORKFLOWS))
        return WORKFLOWS / (time.perf_counter() - began)


def _worker(temporal: Client) -> Worker:
    return Worker(
        temporal, task_queue=QUEUE, workflows=[Empty], workflow_runner=UnsandboxedWorkflowRunner()
    )


async def _run_empty(temporal: Client) -> None:
    await temporal.execute_workflow(
        Empty.run, id=f"empty/{uuid4()}", task_queue=QUEUE, request_eager_start=True
    )


async def _timed(temporal: Client) -> float:
    began = time.perf_counter()
    await _run_empty(temporal)
    return time.perf_counter() - began


async def posts_per_s(url: str, policy: UrlPolicy) -> float:
    """What the client alone sends, to a receiver in another process."""
    data = YieldHarvested.example()
    body = Envelope("evt_bench", data.event_type, utc_now(), None, None, data).to_bytes()
    headers = {"Content-Type": "application/json", "webhook-id": "ceiling"}
    async with WebhookClient(policy) as client:

        async def post() -> None:
            outcome = await client.post(url, headers=headers, body=body, deadline=DEADLINE)
            assert outcome.succeeded, outcome.reason

        await post()
        began = time.perf_counter()
        await _side_by_side(post() for _ in range(POSTS))
        return POSTS / (time.perf_counter() - began)


async def _side_by_side(work) -> None:  # type: ignore[no-untyped-def]  # Coroutines of any kind.
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one(coroutine) -> None:  # type: ignore[no-untyped-def]
        async with gate:
            await coroutine

    await asyncio.gather(*(one(coroutine) for coroutine in work))

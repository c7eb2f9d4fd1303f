"""The two ceilings: the engine with nothing to do, and the client with nothing around it."""

import asyncio
import time
from datetime import timedelta
from uuid import uuid4

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.figures import Ceilings, Latency
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


async def measure(temporal: Client, url: str, policy: UrlPolicy) -> Ceilings:
    async with Worker(
        temporal, task_queue=QUEUE, workflows=[Empty], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        await _run_empty(temporal)
        idle = [await _timed(temporal) for _ in range(IDLE_ROUNDS)]
        began = time.perf_counter()
        await _side_by_side(_run_empty(temporal) for _ in range(WORKFLOWS))
        workflows_per_s = WORKFLOWS / (time.perf_counter() - began)
    return Ceilings(workflows_per_s, Latency.of(idle), await _posts_per_s(url, policy))


async def _run_empty(temporal: Client) -> None:
    await temporal.execute_workflow(
        Empty.run, id=f"empty/{uuid4()}", task_queue=QUEUE, request_eager_start=True
    )


async def _timed(temporal: Client) -> float:
    began = time.perf_counter()
    await _run_empty(temporal)
    return time.perf_counter() - began


async def _posts_per_s(url: str, policy: UrlPolicy) -> float:
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

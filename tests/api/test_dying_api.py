"""An API that dies in the middle of a POST: whoever sends it again has one effect, one answer."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from api.dependencies import Services
from tests.api.asking import QUICK_SETUP, two_accounts
from tests.api.mortal_api import KILLED
from tests.figures import Figure

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.security, pytest.mark.timeout(300), pytest.mark.usefixtures("working")]


@asynccontextmanager
async def mortal_api(
    services: Services, temporal: Client, queue: str, point: str
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.api.mortal_api"),
        *(str(services.settings.data_dir), services.settings.resolved_database_url),
        *(temporal.service_client.config.target_host, queue, point),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip(), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Dying:
    """Sends a POST to an API that dies, and then to one that does not."""

    def __init__(self, api: httpx.AsyncClient, services: Services, temporal: Client, queue: str):
        self.api = api
        self._reach = (services, temporal, queue)

    async def post(self, path: str, body: dict[str, Any], point: str) -> httpx.Response | None:
        """The answer to the second POST; None if the first was answered: it had no such point."""
        once = {"Idempotency-Key": str(uuid4())}
        async with mortal_api(*self._reach, point) as (url, process):
            headers = {**once, "Authorization": self.api.headers["authorization"]}
            async with httpx.AsyncClient(headers=headers, timeout=30) as client:
                try:
                    await client.post(f"{url}/v2{path}", json=body)
                except httpx.TransportError:
                    assert await process.wait() == KILLED
                else:
                    return None
        answer = await self.api.post(path, json=body, headers=once)
        again = await self.api.post(path, json=body, headers=once)
        assert (again.status_code, again.json()) == (answer.status_code, answer.json()), point
        assert again.headers["idempotent-replayed"] == "true"
        return answer


@pytest.fixture
def dying(api: httpx.AsyncClient, services: Services, temporal: Client, queue: str) -> Dying:
    return Dying(api, services, temporal, queue)


async def test_a_transfer_is_made_once_wherever_the_api_dies(dying: Dying, figure: Figure) -> None:
    order = await two_accounts(dying.api) | {"amount": "40.00"}
    died = 0
    for made, point in enumerate(points(), start=1):
        answer = await dying.post("/transfers?wait=10", order, point)
        if answer is not None:
            died += 1
            assert answer.status_code in (201, 202), answer.text
            await completed(dying.api, answer.json()["data"]["uuid"])
        listed = (await dying.api.get("/transfers")).json()["data"]
        assert len(listed) == made, point
    balance = await dying.api.get(f"/accounts/{order['to_account']}")

    figure(f"{made} times POST /transfers, the API died {died} times, {made} transfers")
    assert died >= 6
    assert balance.json()["data"]["balance"] == f"{40 * made}.00"


async def test_a_webhook_is_made_once_wherever_the_api_dies(dying: Dying, figure: Figure) -> None:
    died = 0
    for made, point in enumerate(points()[:4], start=1):
        answer = await dying.post("/webhooks", QUICK_SETUP, point)
        if answer is not None:
            died += 1
            assert answer.status_code == 201, answer.text
        listed = (await dying.api.get("/webhooks")).json()["meta"]["total"]
        assert listed == made, point

    figure(f"{made} times POST /webhooks, the API died {died} times, {made} webhooks")
    assert died >= 2


def points() -> list[str]:
    commits = [f"{when} commit {number}" for number in range(1, 5) for when in ("before", "after")]
    return [*commits, "before start", "after start"]


async def completed(api: httpx.AsyncClient, id: str) -> None:
    async with asyncio.timeout(20):
        while (await api.get(f"/transfers/{id}")).json()["data"]["status"] != "completed":  # noqa: ASYNC110
            await asyncio.sleep(0.05)

"""A key that ends is watched from the request that makes it on."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.dependencies import Services
from runtime.key_expiry import expiry_workflow_id
from storage.types import utc_now
from tests.conftest import worker
from worker.build import lifecycle_implementations
from worker.upkeep import Upkeep

EXPIRING = "/events?type=system.api_key_expiring"


@pytest_asyncio.fixture
async def watching(
    queue: str, services: Services, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    monkeypatch.setattr("runtime.lifecycle.DELIVERY_QUEUE", queue)
    implementations = lifecycle_implementations(services.settings, services.database)
    async with worker(services.temporal, queue, implementations):
        yield


async def make_key(api: httpx.AsyncClient, ends_in: timedelta) -> dict[str, Any]:
    ends_at = (utc_now() + ends_in).isoformat()
    body = {"name": "Short", "scopes": ["read"], "expires_at": ends_at}
    answer = await api.post("/api-keys", json=body, headers={"Idempotency-Key": "k-1"})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def warned(api: httpx.AsyncClient, times: int) -> list[dict[str, Any]]:
    """The warnings, once there are so many."""
    async with asyncio.timeout(20):
        while True:
            found: list[dict[str, Any]] = (await api.get(EXPIRING)).json()["data"]
            if len(found) >= times:
                return found
            await asyncio.sleep(0.05)


async def state_of(services: Services, key_id: str) -> str | None:
    run = services.temporal.get_workflow_handle(expiry_workflow_id(key_id))
    status = (await run.describe()).status
    return status.name if status else None


@pytest.mark.usefixtures("watching")
async def test_a_key_that_ends_tomorrow_is_warned_of_at_once(
    api: httpx.AsyncClient, services: Services
) -> None:
    made = await make_key(api, timedelta(hours=20))

    [told] = await warned(api, 1)

    event = (await api.get(f"/events/{told['id']}")).json()["data"]
    said = event["payload"]["data"] if "payload" in event else event["data"]
    assert (said["api_key_id"], said["days_remaining"]) == (made["id"], 1)
    run = services.temporal.get_workflow_handle(expiry_workflow_id(made["id"]))
    assert await run.result() == "nothing to come"


@pytest.mark.usefixtures("watching")
async def test_rotating_and_revoking_end_what_watches_the_key(
    api: httpx.AsyncClient, services: Services
) -> None:
    old = await make_key(api, timedelta(days=90))
    assert await state_of(services, old["id"]) == "RUNNING"

    new = (await api.post(f"/api-keys/{old['id']}/rotate", json={})).json()["data"]
    watch = services.temporal.get_workflow_handle(expiry_workflow_id(old["id"]))
    assert await watch.result() == "nothing to come"
    assert await state_of(services, new["id"]) == "RUNNING"

    await api.post(f"/api-keys/{new['id']}/revoke")
    watch = services.temporal.get_workflow_handle(expiry_workflow_id(new["id"]))
    assert await watch.result() == "nothing to come"
    assert (await api.get(EXPIRING)).json()["data"] == []


@pytest.mark.usefixtures("watching")
async def test_a_key_that_nobody_watches_is_found(
    api: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine was away when it was made."""

    async def nobody(*_: object, **__: object) -> None:
        raise RuntimeError("Failed client connect: the engine is away")

    with monkeypatch.context() as away:
        away.setattr("runtime.key_expiry.watch_expiry", nobody)
        made = await make_key(api, timedelta(days=7) - timedelta(minutes=5))
    assert (await api.get(EXPIRING)).json()["data"] == []

    await Upkeep(services.database, services.temporal, services.settings).look()

    await warned(api, 1)
    assert await state_of(services, made["id"]) == "RUNNING"

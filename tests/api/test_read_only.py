"""Read-only while maintenance asks for it: writes wait, reads go on, in every API process."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.dependencies import Services
from tests.api.asking import make_webhook, open_account, problem_of
from tests.api.test_auth import bearing, key_with

NOTICED_WITHIN_S = 1.0


async def hold(api: httpx.AsyncClient, **changed: Any) -> str:
    """Hold maintenance, and return the window's path once it is active."""
    body = {"lasts_s": 600, "read_only": True, "title": "Upgrade"} | changed
    answer = await api.post("/maintenance-windows", json=body)
    assert answer.status_code == 202, answer.text
    path = f"/maintenance-windows/mnt_{answer.json()['data']['id'].partition('/')[2]}"
    await until_status(api, path, "active")
    return path


async def until_status(api: httpx.AsyncClient, path: str, status: str) -> None:
    async with asyncio.timeout(20):
        while True:
            answer = await api.get(path)
            if answer.status_code == 200 and answer.json()["data"]["status"] == status:
                return
            await asyncio.sleep(0.02)


async def until_writable(api: httpx.AsyncClient, **request: Any) -> None:
    async with asyncio.timeout(NOTICED_WITHIN_S):
        while True:
            if (await api.post("/webhooks", json={}, **request)).status_code != 503:
                return
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("working")
async def test_writes_wait_and_reads_go_on(api: httpx.AsyncClient) -> None:
    account = await open_account(api, initial_balance="5.00")
    webhook = await make_webhook(api)
    path = await hold(api)
    await asyncio.sleep(NOTICED_WITHIN_S)

    for method, where in [
        ("POST", "/transfers"),
        ("POST", "/workflows"),
        ("POST", "/workflows/maintenance_window"),
        ("POST", f"/accounts/{account}/deposit"),
        ("PATCH", f"/webhooks/{webhook['id']}"),
        ("DELETE", f"/webhooks/{webhook['id']}"),
    ]:
        answer = await api.request(method, where, json={})
        problem_of(answer, 503, "MAINTENANCE")
        assert 500 < int(answer.headers["retry-after"]) <= 600
    for where in ("/accounts", f"/accounts/{account}", "/events", "/webhooks", path):
        assert (await api.get(where)).status_code == 200

    ended = await api.post(f"{path}/cancel")
    assert ended.status_code == 202, ended.text
    await until_status(api, path, "ended")
    await until_writable(api)
    await make_webhook(api)


@pytest.mark.usefixtures("working")
async def test_every_api_process_notices_within_a_second(
    api: httpx.AsyncClient, services: Services
) -> None:
    """The other process has just looked, and knows of nothing."""
    transport = httpx.ASGITransport(create_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://other/v2", headers=api.headers
    ) as other:
        await make_webhook(other)
        path = await hold(api)
        began = time.monotonic()
        while (await other.post("/webhooks", json={})).status_code != 503:
            assert time.monotonic() - began < NOTICED_WITHIN_S
            await asyncio.sleep(0.05)
        assert (await other.post(f"{path}/cancel")).status_code == 202
        await until_status(api, path, "ended")
        await until_writable(other)


@pytest.mark.usefixtures("working")
async def test_a_tenants_maintenance_stops_nobody_else(
    api: httpx.AsyncClient, services: Services
) -> None:
    other = bearing(await key_with(services, "*", tenant_id="ten_other"))
    path = await hold(api)
    await asyncio.sleep(NOTICED_WITHIN_S)

    problem_of(await api.post("/webhooks", json={}), 503, "MAINTENANCE")
    problem_of(await api.post("/webhooks", json={}, headers=other), 422, "VALIDATION_FAILED")
    problem_of(await api.get(path, headers=other), 404, "NOT_FOUND")
    problem_of(await api.post(f"{path}/cancel", headers=other), 404, "NOT_FOUND")
    await api.post(f"{path}/cancel")
    await until_status(api, path, "ended")


@pytest.mark.usefixtures("working")
async def test_maintenance_everywhere_stops_everybody_and_only_its_holder_ends_it(
    api: httpx.AsyncClient, services: Services
) -> None:
    other = bearing(await key_with(services, "*", tenant_id="ten_other"))
    operator = bearing(await key_with(services, "*", "tenants.manage"))
    api.headers.update(operator)
    path = await hold(api, everywhere=True)
    await asyncio.sleep(NOTICED_WITHIN_S)

    problem_of(await api.post("/webhooks", json={}, headers=other), 503, "MAINTENANCE")
    assert (await api.get(path, headers=other)).status_code == 200
    problem_of(await api.post(f"{path}/cancel", headers=other), 404, "NOT_FOUND")
    assert (await api.post(f"{path}/cancel")).status_code == 202
    await until_status(api, path, "ended")
    await until_writable(api, headers=other)

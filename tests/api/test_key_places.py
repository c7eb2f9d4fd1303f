"""Where a key is used from: its owner is told of a place that is new, or not allowed, once."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.dependencies import Services
from tests.api.test_auth import change_key, key_with
from tests.api.test_limits import client


async def test_a_place_that_is_new_to_a_key_is_told_once(
    app: FastAPI, services: Services, api: httpx.AsyncClient
) -> None:
    key = await key_with(services, "*")
    for address in ("192.0.2.1", "198.51.100.7", "198.51.100.7", "2001:db8::1", "2001:db8::2"):
        # A process of its own each time: none remembers what another one saw.
        async with client(create_app(services), key, address) as mine:
            for _ in range(2):
                assert (await mine.get("/accounts")).status_code == 200

    told = await alerts(api)
    assert [(one["type"], one["ip"]) for one in told] == [
        ("new_ip", "198.51.100.7"),
        ("new_ip", "2001:db8::/64"),
    ]
    assert {one["actor"] for one in told} == {key.split("_")[2]}


async def test_a_place_that_a_key_does_not_allow_is_told_and_one_that_it_does_is_no_news(
    app: FastAPI, services: Services, api: httpx.AsyncClient
) -> None:
    key = await key_with(services, "*")
    await change_key(services, key, allow_cidrs=["192.0.2.0/24"])
    for address, status in (("192.0.2.1", 200), ("192.0.2.2", 200), ("203.0.113.9", 403)):
        for _ in range(3):
            async with client(app, key, address) as mine:
                assert (await mine.get("/accounts")).status_code == status

    [told] = await alerts(api)
    assert (told["type"], told["severity"], told["ip"]) == ("ip_blocked", "high", "203.0.113.9")


async def test_whoever_calls_from_everywhere_is_not_told_of_everywhere(
    app: FastAPI, services: Services, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.key_addresses.PLACES_MAX", 3)
    key = await key_with(services, "*")
    for number in range(9):
        async with client(app, key, f"192.0.2.{number}") as mine:
            assert (await mine.get("/accounts")).status_code == 200

    assert len(await alerts(api)) == 2


async def alerts(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    """What was told, the oldest first."""
    found = (await api.get("/events?type=system.security_alert")).json()["data"]
    full = [(await api.get(f"/events/{one['id']}")).json()["data"]["data"] for one in found]
    return sorted(full, key=lambda one: one["alert_id"])

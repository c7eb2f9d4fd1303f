"""A partner's page loads a widget: from a URL for ever, and only where it is allowed to."""

import base64
import hashlib
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.dependencies import Services
from storage.partner_tables import Partner
from tests.api.asking import problem_of

SHOP = "https://shop.example.com"
PARTNER = "prt_0199c5a2-0000-7000-8000-0000000000b1"

pytestmark = pytest.mark.usefixtures("working")


async def test_its_bytes_are_those_that_the_page_pinned(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, services: Services
) -> None:
    deployed = await deploy(api, services)

    answer = await stranger.get(path_of(deployed), headers={"Origin": SHOP})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert integrity_of(answer.content) == deployed["integrity"]


async def test_a_version_may_be_kept_for_ever_and_the_current_one_for_a_minute(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, services: Services
) -> None:
    path = path_of(await deploy(api, services))

    version = await stranger.get(path)
    current = await stranger.get(path.replace("1.0.1", "current"))

    assert version.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert current.headers["cache-control"] == "public, max-age=60"
    assert current.content == version.content


async def test_only_pages_of_the_allowed_origins_may_load_it(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, services: Services
) -> None:
    path = path_of(await deploy(api, services))

    allowed = await stranger.get(path, headers={"Origin": SHOP})
    others = [
        await stranger.get(path, headers={"Origin": origin} if origin else {})
        for origin in (
            "https://evil.example.com",
            "https://shop.example.com.evil.example",
            "null",
            "",
        )
    ]

    assert allowed.headers["access-control-allow-origin"] == SHOP
    for answer in others:
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert all("Origin" in answer.headers["vary"] for answer in (allowed, *others))


async def test_a_new_deployment_is_current_at_once_and_the_old_url_stays(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, services: Services
) -> None:
    first = path_of(await deploy(api, services))
    before = (await stranger.get(first)).content

    second = await deploy(api, services, accent="#102030")

    current = await stranger.get(first.replace("1.0.1", "current"))
    assert integrity_of(current.content) == second["integrity"]
    assert (await stranger.get(first)).content == before != current.content


@pytest.mark.parametrize("version", ["1.0.7", "0.0.0"])
async def test_a_version_that_never_was_is_not_found(
    stranger: httpx.AsyncClient, version: str
) -> None:
    answer = await stranger.get(f"/widgets/{PARTNER}/sandbox/checkout/{version}.js")

    problem_of(answer, 404, "NOT_FOUND")


async def test_the_widgets_of_a_partner_who_left_are_gone(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, services: Services
) -> None:
    path = path_of(await deploy(api, services))

    async def leave(session: AsyncSession) -> None:
        (await session.get_one(Partner, PARTNER)).status = "deactivated"

    await services.database.transact(leave)

    problem_of(await stranger.get(path), 404, "NOT_FOUND")


async def test_an_origin_that_is_none_is_refused_at_once(
    api: httpx.AsyncClient, services: Services
) -> None:
    for origin in ("*", "http://shop.example.com", "https://shop.example.com/path", "null"):
        body = a_deployment() | {"allowed_origins": [origin]}
        problem_of(
            await api.post("/workflows/widget_deployment", json=body), 422, "VALIDATION_FAILED"
        )


async def deploy(api: httpx.AsyncClient, services: Services, **changed: Any) -> dict[str, Any]:
    await services.database.transact(put_on_board)
    body = a_deployment() | changed
    answer = await api.post("/workflows/widget_deployment?wait=20", json=body)
    assert answer.status_code == 201, answer.text
    result: dict[str, Any] = answer.json()["data"]["result"]
    return result


async def put_on_board(session: AsyncSession) -> None:
    if await session.get(Partner, PARTNER) is None:
        session.add(
            Partner(
                id=PARTNER,
                tenant_id="default",
                application_id="app_1",
                organization_name="Corner Books",
                tier="growth",
                status="active",
                workflow_id="partner_onboarding/1",
            )
        )


def a_deployment() -> dict[str, Any]:
    return {"partner_id": PARTNER, "widget_type": "checkout", "allowed_origins": [SHOP]}


def path_of(deployed: dict[str, Any]) -> str:
    path: str = urlsplit(deployed["script_url"]).path
    return path.removeprefix("/v2")


def integrity_of(content: bytes) -> str:
    return f"sha384-{base64.b64encode(hashlib.sha384(content).digest()).decode()}"

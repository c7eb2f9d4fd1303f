"""A partner applies, is approved by a person, fetches its keys once, and works with them."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from api.dependencies import Services
from storage.tables import Event
from tests.api.asking import problem_of
from tests.workflows.sagas.bank import until

SHA = "0f" * 32

pytestmark = pytest.mark.usefixtures("working")


async def test_a_partner_comes_on_board_and_works_with_the_keys_it_is_shown(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    partner = await apply(api)
    await approve(api, partner)
    await until_status(api, partner, "active")

    shown = await api.post(f"/partners/{partner}/keys")

    assert shown.status_code == 201, shown.text
    live, test = shown.json()["data"]["keys"]
    assert (live["mode"], test["mode"]) == ("live", "test")
    assert live["key"].startswith("sp_live_")
    assert test["key"].startswith("sp_test_")
    for key in (live, test):
        headers = {"Authorization": f"Bearer {key['key']}"}
        assert (await stranger.get("/accounts", headers=headers)).json()["data"] == []
        assert (await stranger.get("/tenants", headers=headers)).status_code == 403
        assert (await stranger.get("/workflows", headers=headers)).status_code == 403


async def test_keys_are_shown_once(api: httpx.AsyncClient) -> None:
    partner = await apply(api)
    await approve(api, partner)
    await until_status(api, partner, "active")
    once = {"Idempotency-Key": "first"}

    first = await api.post(f"/partners/{partner}/keys", headers=once)
    replayed = await api.post(f"/partners/{partner}/keys", headers=once)

    assert replayed.json() == first.json()
    problem_of(await api.post(f"/partners/{partner}/keys"), 409, "CONFLICT")


async def test_there_are_no_keys_before_the_partner_is_active(api: httpx.AsyncClient) -> None:
    partner = await apply(api)

    problem_of(await api.post(f"/partners/{partner}/keys"), 422, "PARTNER_NOT_ACTIVE")


async def test_its_event_has_no_credentials(api: httpx.AsyncClient, services: Services) -> None:
    partner = await apply(api)
    await approve(api, partner)
    await until_status(api, partner, "active")
    keys = (await api.post(f"/partners/{partner}/keys")).json()["data"]["keys"]

    async with services.database.read() as session:
        bodies = [event.body or b"" for event in await session.scalars(select(Event))]

    assert b"partner.onboarded" in b"".join(bodies)
    assert not [body for body in bodies for key in keys if key["key"].encode() in body]


async def test_it_is_found_as_soon_as_it_is_accepted(api: httpx.AsyncClient) -> None:
    partner = await apply(api)

    found = (await api.get(f"/partners/{partner}")).json()["data"]

    assert found["organization_name"] == "Corner Books"
    assert found["status"] == "applied"
    listed = (await api.get("/partners", params={"status": "applied"})).json()["data"]
    assert [one["id"] for one in listed] == [partner]
    assert (await api.get("/partners", params={"status": "active"})).json()["data"] == []


async def test_a_rejected_application_says_why(api: httpx.AsyncClient) -> None:
    answer = await api.post("/partners?wait=20", json={"organization_name": "No Papers Ltd"})

    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]
    assert (found["status"], found["failure"]["code"]) == ("rejected", "missing_documents")


async def test_another_tenants_partner_is_not_found(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    partner = await apply(api)
    made = await api.post("/tenants", json={"id": "other", "name": "Other"})
    theirs = {"Authorization": f"Bearer {made.json()['data']['api_key']}"}

    problem_of(await stranger.get(f"/partners/{partner}", headers=theirs), 404, "NOT_FOUND")
    keys = await stranger.post(f"/partners/{partner}/keys", headers=theirs)
    problem_of(keys, 404, "NOT_FOUND")
    assert (await stranger.get("/partners", headers=theirs)).json()["data"] == []


async def test_a_key_may_give_no_more_than_it_has(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    partner = await apply(api)
    await approve(api, partner)
    await until_status(api, partner, "active")
    body = {"name": "clerk", "scopes": ["partners.manage"]}
    made = (await api.post("/api-keys", json=body)).json()["data"]["key"]

    answer = await stranger.post(
        f"/partners/{partner}/keys", headers={"Authorization": f"Bearer {made}"}
    )

    problem_of(answer, 403, "FORBIDDEN")


async def apply(api: httpx.AsyncClient, **changed: Any) -> str:
    body = {
        "organization_name": "Corner Books",
        "documents": [{"kind": "certificate_of_incorporation", "sha256": SHA}],
    }
    answer = await api.post("/partners", json=body | changed)
    assert answer.status_code == 202, answer.text
    partner_id: str = answer.json()["data"]["id"]
    assert answer.headers["location"] == f"/v2/partners/{partner_id}"
    return partner_id


async def approve(api: httpx.AsyncClient, partner_id: str) -> None:
    run = f"/workflows/partner_onboarding/{partner_id.removeprefix('prt_')}"

    async def taken() -> bool:
        answer = await api.post(f"{run}/approve", json={"approved": True})
        return answer.status_code == 200

    await until(taken)


async def until_status(api: httpx.AsyncClient, partner_id: str, status: str) -> None:
    async def reached() -> bool:
        found = (await api.get(f"/partners/{partner_id}")).json()["data"]
        return bool(found["status"] == status)

    await until(reached)

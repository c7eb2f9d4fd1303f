"""Compliance reports, through the API: found, downloaded, and nobody else's."""

import base64
import hashlib
from typing import Any

import httpx
import pytest

from api.dependencies import Services
from storage.types import utc_now
from tests.api.asking import open_account, problem_of
from tests.api.test_auth import bearing, key_with

LEI = "529900T8BM49AURSDO55"


async def make_report(api: httpx.AsyncClient, **changed: Any) -> dict[str, Any]:
    today = utc_now().date().isoformat()
    body = {"period_from": today, "period_to": today, "lei": LEI} | changed
    answer = await api.post("/workflows/compliance_report?wait=10", json=body)
    assert answer.status_code in (200, 201), answer.text
    run: dict[str, Any] = answer.json()["data"]
    return run


@pytest.mark.usefixtures("working")
async def test_a_report_is_downloaded_as_it_was_hashed(api: httpx.AsyncClient) -> None:
    account = await open_account(api, initial_balance="77.00")

    run = await make_report(api)

    assert run["state"] == "completed", run
    report = (await api.get(f"/reports/{run['result']['report_id']}")).json()["data"]
    assert (report["status"], report["workflow_id"]) == ("acknowledged", run["workflow_id"])
    file = await api.get(report["download_url"].removeprefix("/v2"))
    assert file.status_code == 200
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert f'filename="{report["id"]}.csv"' in file.headers["content-disposition"]
    digest = hashlib.sha256(file.content).digest()
    assert file.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert digest.hex() == report["sha256"] == run["result"]["sha256"]
    assert account in file.text
    [told] = (await api.get("/events?type=compliance.report.generated")).json()["data"]
    assert told["workflow_id"] == run["workflow_id"]


@pytest.mark.usefixtures("working")
async def test_another_tenant_finds_no_report_and_no_file(
    api: httpx.AsyncClient, services: Services
) -> None:
    await open_account(api, initial_balance="77.00")
    report_id = (await make_report(api))["result"]["report_id"]
    other = bearing(await key_with(services, "*", tenant_id="ten_other"))

    for path in (f"/reports/{report_id}", f"/reports/{report_id}/download"):
        problem_of(await api.get(path, headers=other), 404, "NOT_FOUND")
        assert (await api.get(path)).status_code == 200
    assert (await api.get("/reports", headers=other)).json()["data"] == []
    assert [one["id"] for one in (await api.get("/reports")).json()["data"]] == [report_id]


@pytest.mark.usefixtures("working")
async def test_a_report_that_was_refused_is_found_and_has_no_file(api: httpx.AsyncClient) -> None:
    run = await make_report(api, sandbox={"regulator": {"refuse": "report_rejected"}})

    assert (run["state"], run["failure"]["code"]) == ("failed", "report_rejected")
    [report] = (await api.get("/reports")).json()["data"]
    assert (report["status"], report["download_url"]) == ("failed", None)
    answer = await api.get(f"/reports/{report['id']}/download")
    problem_of(answer, 404, "NOT_FOUND")


async def test_a_download_takes_its_scope(api: httpx.AsyncClient, services: Services) -> None:
    narrow = bearing(await key_with(services, "transfers.read"))
    enough = bearing(await key_with(services, "reports.read"))

    problem_of(await api.get("/reports", headers=narrow), 403, "FORBIDDEN")
    assert (await api.get("/reports", headers=enough)).status_code == 200


async def test_a_period_that_ends_before_it_begins_is_refused_at_once(
    api: httpx.AsyncClient,
) -> None:
    body = {"period_from": "2026-02-01", "period_to": "2026-01-01"}
    answer = await api.post("/workflows/compliance_report", json=body)

    assert answer.status_code == 422, answer.text

"""Widgets are really built, hashed and stored; if one fails, the one before it is current."""

import asyncio
import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from domain.errors import TierNotAllowed
from domain.ids import new_uuid
from domain.partner import TIERS, Tier, WidgetType, check_widget
from domain.widget import WidgetDeploymentRequest
from storage.partner_tables import Partner, WidgetDeployment
from storage.widgets import find_served
from tests.conftest import TENANT
from tests.workflows.sagas.bank import Bank, Outcome


async def test_a_widget_is_built_hashed_and_told_with_its_url(bank: Bank) -> None:
    request = a_widget(await a_partner(bank))

    ended = await bank.run("widget_deployment", request)

    told = ended.told("widget.deployed")
    row = await bank.row(WidgetDeployment, request.deployment_id)
    assert told["deployment_id"] == request.deployment_id == ended.result["deployment_id"]
    assert (
        told["integrity"]
        == f"sha384-{base64.b64encode(hashlib.sha384(row.content).digest()).decode()}"
    )
    assert told["script_url"].endswith(f"/v2/widgets/{row.partner_id}/sandbox/checkout/1.0.1.js")
    assert told["allowed_origins"] == ["https://shop.example.com"]
    assert (told["version"], told["environment"]) == ("1.0.1", "sandbox")


async def test_the_script_has_what_the_partner_chose_and_no_credentials(bank: Bank) -> None:
    request = a_widget(await a_partner(bank), accent="#aa0011", submit_path="/pay")

    await bank.run("widget_deployment", request)

    settings = settings_in(await script_of(bank, request))
    assert settings["accent"] == "#aa0011"
    assert settings["submitPath"] == "/pay"
    assert settings["fields"] == ["order_id", "amount", "asset_code"]
    assert not {"key", "token", "secret", "apiKey"} & settings.keys()


async def test_the_newest_version_is_current_and_older_ones_stay(bank: Bank) -> None:
    partner = await a_partner(bank)
    first, second = a_widget(partner), a_widget(partner, accent="#000000")
    await bank.run("widget_deployment", first)
    before = await script_of(bank, first)

    await bank.run("widget_deployment", second)

    assert await current(bank, partner) == second.deployment_id
    assert await script_of(bank, first) == before


@pytest.mark.parametrize(
    ("refuse", "undone"),
    [
        ("build_widget", []),
        ("switch_widget", ["delete_widget"]),
        ("publish_widget", ["switch_widget_back", "delete_widget"]),
    ],
)
async def test_a_deployment_that_fails_leaves_the_one_before_it_current(
    bank: Bank, refuse: str, undone: list[str]
) -> None:
    partner = await a_partner(bank)
    first, second = a_widget(partner), a_widget(partner)
    await bank.run("widget_deployment", first)

    ended = await bank.run("widget_deployment", second, refuse=refuse)

    assert ended.code == "refused_by_test"
    assert "widget.deployed" not in ended.types
    assert actions(ended) == undone
    assert await current(bank, partner) == first.deployment_id


async def test_a_version_that_was_withdrawn_is_never_used_again(bank: Bank) -> None:
    """A page may have kept what it loaded from that URL."""
    partner = await a_partner(bank)
    failed, next_one = a_widget(partner), a_widget(partner)
    await bank.run("widget_deployment", failed, refuse="publish_widget")

    ended = await bank.run("widget_deployment", next_one)

    row = await bank.row(WidgetDeployment, failed.deployment_id)
    assert (row.version, row.state, row.content) == ("1.0.1", "withdrawn", None)
    assert ended.result["version"] == "1.0.2"


async def test_two_at_once_get_versions_of_their_own(bank: Bank) -> None:
    partner = await a_partner(bank)
    handles = [await bank.start("widget_deployment", a_widget(partner)) for _ in range(2)]

    ended = [await bank.end_of(handle) for handle in handles]

    assert {one.result["version"] for one in ended} == {"1.0.1", "1.0.2"}


@pytest.mark.parametrize(
    ("tier", "widget_type"), [("starter", "payment"), ("growth", "balance"), ("growth", "transfer")]
)
async def test_what_the_tier_does_not_include_is_refused(
    bank: Bank, tier: Tier, widget_type: WidgetType
) -> None:
    request = a_widget(await a_partner(bank, tier=tier), widget_type=widget_type)

    ended = await bank.run("widget_deployment", request)

    assert ended.code == "tier_not_allowed"
    assert ended.told("workflow.failed")["failed_step"] == "check_widget_tier"
    assert await bank.row(WidgetDeployment, request.deployment_id) is None


@pytest.mark.parametrize("status", ["applied", "onboarding", "rejected", "deactivated"])
async def test_a_partner_that_is_not_on_board_gets_no_widget(bank: Bank, status: str) -> None:
    ended = await bank.run("widget_deployment", a_widget(await a_partner(bank, status=status)))

    assert ended.code == "partner_not_active"


async def test_somebody_elses_partner_is_as_absent_as_one_that_never_was(bank: Bank) -> None:
    ended = await bank.run("widget_deployment", a_widget("prt_nobody"))

    assert ended.code == "partner_not_found"


async def test_the_script_defines_its_element_when_it_runs(bank: Bank, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no JavaScript engine on this machine")
    request = a_widget(await a_partner(bank))
    await bank.run("widget_deployment", request)
    script = tmp_path / "run.js"
    script.write_text(STAGE.replace("SCRIPT", (await script_of(bank, request)).decode()))

    running = await asyncio.create_subprocess_exec(node, script, stdout=subprocess.PIPE)
    shown, _ = await running.communicate()

    assert json.loads(shown) == {"tag": "sagapost-checkout", "version": "1.0.1"}


def test_in_production_only_pages_over_tls_may_load_it() -> None:
    with pytest.raises(ValueError, match="https"):
        a_widget("prt_1", environment="production", allowed_origins=("http://localhost:3000",))


def test_every_widget_is_some_tiers() -> None:
    for widget_type in TIERS["enterprise"].widgets:
        check_widget("enterprise", widget_type)
        with pytest.raises(TierNotAllowed):
            check_widget("starter", widget_type)


# A browser is not needed to see what the script does when it is loaded.
STAGE = """
globalThis.HTMLElement = class {};
const known = new Map();
globalThis.customElements = {
  get: (tag) => known.get(tag),
  define: (tag, kind) => known.set(tag, kind),
};
SCRIPT
const [[tag, kind]] = known;
console.log(JSON.stringify({ tag, version: kind.settings.version }));
"""


def a_widget(partner_id: str, **fields: Any) -> WidgetDeploymentRequest:
    defaults = {"widget_type": "checkout", "allowed_origins": ("https://shop.example.com",)}
    return WidgetDeploymentRequest(id=new_uuid(), partner_id=partner_id, **defaults | fields)


async def a_partner(bank: Bank, *, tier: Tier = "growth", status: str = "active") -> str:
    partner_id = f"prt_{new_uuid()}"
    await bank.add(
        Partner(
            id=partner_id,
            tenant_id=TENANT,
            application_id="app_1",
            organization_name="Corner Books",
            tier=tier,
            status=status,
            workflow_id="partner_onboarding/1",
        )
    )
    return partner_id


async def current(bank: Bank, partner_id: str) -> str | None:
    async with bank.database.read() as session:
        row = await find_served(session, partner_id, "sandbox", "checkout", None)
    return row.id if row else None


async def script_of(bank: Bank, request: WidgetDeploymentRequest) -> bytes:
    content: bytes = (await bank.row(WidgetDeployment, request.deployment_id)).content
    return content


def settings_in(script: bytes) -> dict[str, Any]:
    found = re.search(rb"const settings = (\{.*\});", script)
    assert found is not None
    settings: dict[str, Any] = json.loads(found[1])
    return settings


def actions(ended: Outcome) -> list[str]:
    told = ended.told_all("workflow.compensation_executed")
    return [one["action"] for event in told for one in event["compensation_actions"]]

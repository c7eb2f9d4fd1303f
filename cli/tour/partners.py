"""Partners: taken on with a person's approval, given packages of our API, and widgets."""

from hashlib import sha256
from typing import Any

from cli.demo.client import ApiRefused
from cli.tour.guide import FAILED, Guide

KINDS = ("certificate_of_incorporation", "proof_of_address")


async def see(guide: Guide) -> None:
    partner = {"partner_id": await _take_on(guide)}
    await _turn_away(guide)
    widget = partner | {"widget_type": "checkout", "allowed_origins": ["https://shop.example.com"]}
    await guide.run("a widget for a partner's shop", "widget_deployment", widget)
    not_theirs = widget | {"widget_type": "balance"}
    await guide.run("a widget of a higher tier", "widget_deployment", not_theirs, expected=FAILED)
    await guide.run("a package of our API", "sdk_generation", partner | {"modules": ["accounts"]})
    not_theirs = partner | {"modules": ["workflows"]}
    await guide.run("a package of a higher tier", "sdk_generation", not_theirs, expected=FAILED)


async def _take_on(guide: Guide) -> str:
    """Returns the partner's id, once it is active."""
    order = {
        "organization_name": "Corner Books Ltd",
        "tier": "growth",
        "documents": [document(kind) for kind in KINDS],
    }
    partner = await guide.client.post("/v2/partners", order)
    workflow_id = partner["workflow_id"]

    async def approved() -> bool | None:
        try:
            await guide.client.post(f"/v2/workflows/{workflow_id}/approve", {"approved": True})
        except ApiRefused as not_asked_yet:
            if "NOT_AWAITED" not in str(not_asked_yet):
                raise
            return None
        return True

    await guide.until("an onboarding that asks for approval", approved)
    result = await guide.ended("take a partner on", workflow_id)
    partner_id: str = result["partner_id"]
    return partner_id


async def _turn_away(guide: Guide) -> None:
    applicant = {"organization_name": "Nobody Ltd", "documents": [document(KINDS[0])]}
    hit = applicant | {"sandbox": {"sanctions": {"refuse": "sanctions_hit"}}}
    await guide.run("a partner on a list", "partner_onboarding", hit, expected=FAILED)
    slow = applicant | {"approve_within_s": 1}
    await guide.run("a partner nobody approves", "partner_onboarding", slow, expected=FAILED)


def document(kind: str) -> dict[str, Any]:
    return {"kind": kind, "sha256": sha256(kind.encode()).hexdigest()}

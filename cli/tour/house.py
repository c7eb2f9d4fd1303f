"""The house itself: maintenance, limits, keys, alerts and how its parts are doing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from cli.tour.guide import Guide
from domain.api_keys import key_with_id

PER_MINUTE = 10
WRONG_KEYS = 30


async def see(guide: Guide) -> None:
    await _maintain(guide)
    await _use_up(guide)
    await _let_keys_end(guide)
    await _try_keys(guide)
    watch = {"degraded_after_ms": {"database": 0}, "every_s": 0.5, "rounds": 2}
    await guide.run("how are the parts?", "status_monitor", watch)


async def _maintain(guide: Guide) -> None:
    window = {"title": "Maintenance of the tour", "lasts_s": 1}
    held = await guide.client.post("/v2/maintenance-windows", window)
    await guide.ended("a maintenance window", held["workflow_id"])
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    held = await guide.client.post("/v2/maintenance-windows", window | {"starts_at": tomorrow})
    await guide.client.post(f"/v2/workflows/{held['workflow_id']}/cancel", {})
    await guide.ended("a window that is called off", held["workflow_id"], expected="cancelled")


async def _use_up(guide: Guide) -> None:
    """Four fifths of a small limit."""
    key = await _make_key(guide, "Small limit", limit_per_minute=PER_MINUTE)
    async with _caller(guide, key["key"]) as caller:
        for _ in range(PER_MINUTE):
            await caller.get("/v2/accounts")


async def _let_keys_end(guide: Guide) -> None:
    tomorrow = datetime.now(UTC) + timedelta(hours=20)
    await _make_key(guide, "Ends tomorrow", expires_at=tomorrow.isoformat())


async def _try_keys(guide: Guide) -> None:
    """Guess the secret of a key whose id is known, until the address is locked out."""
    key = await _make_key(guide, "Somebody else's")
    for _ in range(WRONG_KEYS):
        async with _caller(guide, key_with_id(key["id"])) as caller:
            await caller.get("/v2/accounts")


async def _make_key(guide: Guide, name: str, **more: Any) -> dict[str, Any]:
    body = {"name": name, "scopes": ["read"]} | more
    made: dict[str, Any] = await guide.client.post("/v2/api-keys", body)
    return made


def _caller(guide: Guide, key: str) -> httpx.AsyncClient:
    """Somebody with another key."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=guide.api_url, headers=headers, trust_env=False)

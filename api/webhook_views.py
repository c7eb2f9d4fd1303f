"""Between a webhook's row and what its owner sees: both spellings, and no secret."""

import json
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.dependencies import Services
from api.webhook_shapes import REDACTED, Statistics, WebhookOptions, WebhookView
from storage.tables import Endpoint
from storage.webhooks import STATISTICS_WINDOW, UNSETTLED, recent_states


async def webhook_view(session: AsyncSession, row: Endpoint, shared: Services) -> WebhookView:
    active = row.disabled_at is None
    changed: dict[str, Any] = {
        "uuid": row.id,
        "events": row.event_types,
        "filter": row.payload_filter,
        "headers": dict.fromkeys(open_headers(row, shared), REDACTED),
        "is_active": active,
        "active": active,
        "metadata": row.endpoint_metadata,
        "statistics": statistics(await recent_states(session, row.id)),
    }
    return WebhookView.model_validate(row.model_dump() | changed)


def statistics(states: dict[str, int]) -> Statistics:
    succeeded = states.get("succeeded", 0)
    failed = states.get("dead_lettered", 0)
    settled = succeeded + failed
    return Statistics(
        window=f"the last {STATISTICS_WINDOW} deliveries",
        deliveries=sum(states.values()),
        succeeded=succeeded,
        failed=failed,
        pending=sum(states.get(state, 0) for state in UNSETTLED),
        success_rate=f"{100 * succeeded / settled:.1f}" if settled else None,
    )


def seal_headers(endpoint: Endpoint, headers: dict[str, str], shared: Services) -> bytes | None:
    if not headers:
        return None
    return shared.vault.seal(json.dumps(headers).encode(), bound_to=endpoint.id)


def open_headers(endpoint: Endpoint, shared: Services) -> dict[str, str]:
    if endpoint.headers_sealed is None:
        return {}
    opened = shared.vault.open(endpoint.headers_sealed, bound_to=endpoint.id)
    headers: dict[str, str] = json.loads(opened)
    return headers


def with_kept(body: WebhookOptions, endpoint: Endpoint, shared: Services) -> dict[str, str]:
    """A client that sends back what it read means the values that it was not shown."""
    kept = open_headers(endpoint, shared)
    return {
        name: kept.get(name, value) if value == REDACTED else value
        for name, value in body.headers.items()
    }

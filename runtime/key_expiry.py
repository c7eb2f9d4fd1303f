"""Tell the engine of an API key that ends: start what watches it, or have that look again.

Called after the commit; calling again is harmless. Where the engine does not answer, the worker
finds the key when something is due (worker/upkeep.py).
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Final, Protocol

from temporalio.client import Client
from temporalio.common import Priority
from temporalio.service import RPCError, RPCStatusCode

from domain.key_expiry import KeyExpiryRequest
from runtime.lifecycle import LEAST_URGENT, Watch, wake

TOLD_WITHIN: Final = timedelta(seconds=2)

logger = logging.getLogger("sagapost.key_expiry")


class EndingKey(Protocol):
    """A key's row, or what its owner is shown of it."""

    @property
    def id(self) -> str: ...
    @property
    def tenant_id(self) -> str: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def revoked_at(self) -> datetime | None: ...


def expiry_workflow_id(key_id: str) -> str:
    return f"api_key/{key_id}/expiry"


async def watch_expiry(temporal: Client, key: EndingKey) -> None:
    """Raises RPCError."""
    watch = Watch(
        "api_key_expiry",
        expiry_workflow_id(key.id),
        KeyExpiryRequest(key.id),
        key.tenant_id,
        f"warn of the end of API key {key.id}",
        priority=Priority(priority_key=LEAST_URGENT),
    )
    await wake(temporal, watch)


async def look_again(temporal: Client, key_id: str) -> None:
    """Have what watches the key see that it was rotated or revoked. Raises RPCError."""
    try:
        await temporal.get_workflow_handle(expiry_workflow_id(key_id)).signal("look_again")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # Nothing watches it.
            raise


async def tell_of_key(temporal: Client, key: EndingKey, *, replaced: str | None = None) -> None:
    """The key was made, was revoked, or takes the place of another.

    An engine that is away is not waited for.
    """
    try:
        async with asyncio.timeout(TOLD_WITHIN.total_seconds()):
            if replaced is not None:
                await look_again(temporal, replaced)
            if key.revoked_at is not None:
                await look_again(temporal, key.id)
            elif key.expires_at is not None:
                await watch_expiry(temporal, key)
    except (RPCError, RuntimeError, TimeoutError) as error:
        facts = {"key": key.id, "error": str(error)}
        logger.warning("the end of a key is not watched yet", extra=facts)

"""What a request said that stays in the database: names, reasons, metadata. Never the engine's."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.saga_log import RUNS


async def kept(session: AsyncSession, workflow_id: str) -> dict[str, Any]:
    """Empty for a run that no API accepted: a child saga."""
    request = await session.scalar(select(RUNS.c.request).where(RUNS.c.workflow_id == workflow_id))
    found: dict[str, Any] = (request or {}).get("kept", {})
    return found

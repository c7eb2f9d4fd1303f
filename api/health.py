"""Health: whether the process lives, and whether what it needs answers."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Literal

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from api.dependencies import Services, Shared
from api.errors import NotNow
from api.shapes import Data, View
from runtime.database import Database

ANSWER_WITHIN = timedelta(seconds=2)

router = APIRouter(prefix="/health", tags=["health"])


class Alive(View):
    status: Literal["alive"] = "alive"


class Ready(View):
    status: Literal["ready"] = "ready"
    database: Literal["up"] = "up"
    engine: Literal["up"] = "up"


@router.get("/live")
async def live() -> Data[Alive]:
    """Whether this process answers at all."""
    return Data(data=Alive())


@router.get("/ready")
async def ready(shared: Shared) -> Data[Ready]:
    """Whether the database and the workflow engine answer; 503 says which does not."""
    database, engine = await what_answers(shared)
    if not (database and engine):
        states = {"database": _state(up=database), "engine": _state(up=engine)}
        down = [name for name, state in states.items() if state == "down"]
        raise NotNow(f"not ready: {' and '.join(down)} down", **states)
    return Data(data=Ready())


async def what_answers(shared: Services) -> tuple[bool, bool]:
    """Whether the database does, and whether the engine does."""
    database, engine = await asyncio.gather(
        _answers(_ask_database(shared.database)), _answers(_ask_engine(shared.temporal))
    )
    return database, engine


async def _answers(question: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            await question
    except (SQLAlchemyError, OSError, RPCError, RuntimeError, TimeoutError):
        return False
    return True


async def _ask_database(database: Database) -> None:
    async with database.read() as session:
        await session.execute(text("SELECT 1 FROM tenants"))


async def _ask_engine(temporal: Client) -> None:
    # A namespace that is not there yet serves nothing, whatever the server itself says.
    await temporal.count_workflows("TenantId = 'nobody'", rpc_timeout=ANSWER_WITHIN)


def _state(*, up: bool) -> str:
    return "up" if up else "down"

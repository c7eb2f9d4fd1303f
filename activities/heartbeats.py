"""Signs of life of an activity that takes its time, and an attempt that is never cut short."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio import activity

HEARTBEAT_EVERY_S = 5.0

Result = TypeVar("Result")


async def to_its_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Heartbeat while `work` goes on, and let it end whatever the engine says meanwhile.

    A POST cut short is an attempt that the receiver may have had and that nobody recorded. Whoever
    pauses or cancels changed the row first, and the row is looked at when the attempt is recorded.
    Only a worker that stops, and has no grace left, cuts it.
    """
    working = asyncio.ensure_future(work)
    beating = asyncio.create_task(_beat())
    try:
        while True:
            try:
                return await asyncio.shield(working)
            except asyncio.CancelledError:
                if working.cancelled() or activity.is_worker_shutdown():
                    raise
    finally:
        working.cancel()
        beating.cancel()


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT_EVERY_S)

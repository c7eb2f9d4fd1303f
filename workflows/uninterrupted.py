"""Waiting for work: until it has ended whatever happens meanwhile, and for several at once."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow

Result = TypeVar("Result")


async def finish(work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for `work` to end, however often the waiting task is cancelled.

    `asyncio.shield` alone would abandon it. Who cares about the cancel asks for it afterwards.
    """
    return (await finish_noting(work))[0]


async def finish_noting(work: Coroutine[Any, Any, Result]) -> tuple[Result, bool]:
    """The same, and whether the waiting task was cancelled meanwhile."""
    task, cancelled = asyncio.create_task(work), False
    while True:
        try:
            return await asyncio.shield(task), cancelled
        except asyncio.CancelledError:
            # A cancel that came in with the end of the work is not the end of the work.
            if task.cancelled():
                raise
            cancelled = True
            forget_cancel()


def forget_cancel() -> None:
    """Else every later await of this task would raise again."""
    current = asyncio.current_task()
    assert current is not None
    current.uncancel()


async def result_of(task: asyncio.Task[Result]) -> Result:
    await workflow.wait([task])
    return task.result()


async def recorded(what: str) -> None:
    """Have the answer that just came by an update in the history, before anything is done on it.

    A local activity is done before its workflow task is: if the worker dies in between, the task
    is done again, and the update need not come again.
    """
    await workflow.sleep(timedelta(milliseconds=1), summary=f"{what} recorded")


async def all_ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Wait until every one of them has ended, well or badly."""
    await workflow.wait(tasks)


async def called_off(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what still runs, and wait until all of it has ended."""
    for task in tasks:
        task.cancel()
    await finish(all_ended(tasks))


class Branches:
    """Work side by side, at most `at_once` of it. All has ended before any error is raised."""

    def __init__(self, works: Sequence[Coroutine[Any, Any, Any]], at_once: int | None) -> None:
        gate = asyncio.Semaphore(at_once or max(1, len(works)))
        self._tasks = [asyncio.create_task(_through(gate, work)) for work in works]

    async def first_error(self) -> BaseException | None:
        """Wait until all have ended (None), one has failed, or the waiting task is cancelled."""
        try:
            if self._tasks:
                await workflow.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        except asyncio.CancelledError as cancelled:
            forget_cancel()
            return cancelled
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                return task.exception()
        return None

    async def ended_well(self) -> bool:
        """Wait until all of them have ended."""
        await finish(all_ended(self._tasks))
        return not any(task.cancelled() or task.exception() for task in self._tasks)

    def results(self) -> list[Any]:
        return [task.result() for task in self._tasks]


async def _through(gate: asyncio.Semaphore, work: Coroutine[Any, Any, Result]) -> Result:
    try:
        async with gate:
            return await work
    finally:
        work.close()  # An evicted workflow may never have given it its turn.

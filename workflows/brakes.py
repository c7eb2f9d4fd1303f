"""What can stop a saga before its pivot: a cancel, its deadline, a failing branch beside it.

Stopping is noticed before each step, and interrupts what takes long: an outside party, a wait, a
child. It never interrupts a step of our own, and after the pivot nothing is stopped any more.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from temporalio import workflow

from domain.saga import SagaInfo
from workflows import identity
from workflows.uninterrupted import finish, forget_cancel, result_of

Result = TypeVar("Result")

# A result that came in with the cancel passes through a few tasks before it is seen.
TURNS = 20


class Brakes:
    """One per saga. `released` once the pivot is past."""

    def __init__(self, saga: SagaInfo) -> None:
        self.released = identity.is_past_pivot()
        self._deadline_at = saga.deadline_at
        self._timeout = asyncio.timeout(identity.seconds_left(saga))
        self._branch_failed = False
        self._under_way: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Its own error is of no use: an activity that is cancelled raises another.
        with contextlib.suppress(TimeoutError):
            await self._timeout.__aexit__(kind, error, trace)

    @property
    def late(self) -> bool:
        # Local activities can pass the deadline before its timer is known to the server.
        ends = self._deadline_at
        return self._timeout.expired() or (ends is not None and workflow.now() >= ends)

    @property
    def cancelled(self) -> bool:
        return workflow.cancellation_reason() is not None

    @property
    def on(self) -> bool:
        """Asked before each step: one that ended in spite of a cancel has swallowed it."""
        return not self.released and (self.late or self.cancelled or self._branch_failed)

    def stop_if_on(self) -> None:
        if self.on:
            raise asyncio.CancelledError

    def disregard_deadline(self) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(None)

    def release(self) -> None:
        """The pivot is past: from here the saga only goes forward."""
        self.released = True
        self.disregard_deadline()

    def reopen(self) -> None:
        """The pivot was given back by who had done it: there is a way back again."""
        self.released = False

    async def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for `work`; stopping calls it off, unless its result came in at the same time.

        What followed from that result may have been done already, by a worker that died before
        it could say so. So the result counts, and the stop is noticed before the next step.
        """
        if self.released:
            return await finish(work)
        task = asyncio.create_task(work)
        self._under_way.append(task)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            forget_cancel()
        finally:
            self._under_way.remove(task)
        await _let_pass(task)
        task.cancel()
        return await finish(result_of(task))

    async def call_off(self, why: BaseException) -> None:
        """Interrupt all branches that wait: one failed, or the saga is being stopped."""
        self._branch_failed = not isinstance(why, asyncio.CancelledError)
        under_way = list(self._under_way)
        await _let_pass(*under_way)
        if not self.released:
            for task in under_way:
                task.cancel()


async def _let_pass(*tasks: asyncio.Task[Any]) -> None:
    for _ in range(TURNS):
        if all(task.done() for task in tasks):
            return
        await asyncio.sleep(0)

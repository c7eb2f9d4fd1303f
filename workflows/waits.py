"""What a saga waits by: a cancel or the deadline ends each of these, until the pivot is past."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

from domain.operate import Approval
from workflows.approvals import Approvals
from workflows.brakes import Brakes
from workflows.failures import refusal
from workflows.uninterrupted import finish, recorded


class Waits:
    """The part of a saga that waits, for people, for signals, and for time."""

    _approvals: Approvals
    _brakes: Brakes
    _at: str

    async def begin(self) -> None:
        """Tell `workflow.started` now, before something that may take long."""
        raise NotImplementedError

    async def wait_for(
        self,
        predicate: Callable[[], bool],
        *,
        what: str,
        within: timedelta | None = None,
        code: str = "step_timed_out",
    ) -> None:
        """Wait for what a signal or update will make true. Refuses with `code` if it does not."""
        await self.begin()
        self._at = what
        if not predicate():
            self._brakes.stop_if_on()
        waiting = workflow.wait_condition(predicate, timeout=within, timeout_summary=what)
        try:
            await self._brakes.wait(waiting)
        except TimeoutError:
            raise refusal(code, f"{what} did not happen within {within}") from None
        await finish(recorded(what))

    async def approval(self, what: str, *, within: timedelta | None = None) -> Approval:
        """Wait until a person approves `what`. Refuses approval_rejected or approval_timeout."""
        await self.begin()
        self._at = what
        self._brakes.stop_if_on()
        try:
            approval = await self._brakes.wait(self._approvals.answer(what, within))
        except TimeoutError:
            raise refusal("approval_timeout", f"{what}: nobody answered in {within}") from None
        if not approval.approved:
            raise refusal("approval_rejected", f"{what}: rejected by {approval.by}")
        return approval

    async def pause(self, duration: timedelta, *, until: Callable[[], bool], summary: str) -> None:
        """Sleep, but no longer than until a signal makes `until` true."""
        await self.begin()
        self._brakes.stop_if_on()
        waiting = workflow.wait_condition(until, timeout=duration, timeout_summary=summary)
        with suppress(TimeoutError):
            await self._brakes.wait(waiting)

    async def sleep(self, duration: timedelta, *, summary: str) -> None:
        await self.begin()
        self._brakes.stop_if_on()
        await self._brakes.wait(workflow.sleep(duration, summary=summary))

"""Waiting for people: a saga asks for an approval, somebody answers by the update `approve`."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.operate import Approval
from workflows.progress import Progress
from workflows.uninterrupted import recorded


class Approvals:
    """What this saga waits to have approved. An answer to anything else is refused."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._answers: dict[str, Approval | None] = {}

    def open(self) -> None:
        workflow.set_update_handler("approve", self._approve, validator=self._check)

    async def answer(self, what: str, within: timedelta | None) -> Approval:
        """Ask, and wait. Raises TimeoutError if nobody answers."""
        assert what not in self._answers, f"{what} is being asked for already"
        self._answers[what] = None
        self._progress.asked(what)
        state = "failed"
        try:
            await workflow.wait_condition(
                lambda: self._answers[what] is not None,
                timeout=within,
                timeout_summary=f"{what}: approval",
            )
            await recorded(what)
            state = "done"
        finally:
            answer = self._answers.pop(what)
            self._progress.answered(what, state)
        assert answer is not None
        return answer

    def _approve(self, approval: Approval) -> str:
        [what] = self._asked(approval)
        self._answers[what] = approval
        return f"{what}: {'approved' if approval.approved else 'rejected'} by {approval.by}"

    def _check(self, approval: Approval) -> None:
        asked = self._asked(approval)
        if len(asked) > 1:
            text = f"say what is meant: {', '.join(asked)}"
            raise ApplicationError(text, type="approval_ambiguous")
        if not asked:
            raise ApplicationError("nothing here awaits that approval", type="not_awaited")

    def _asked(self, approval: Approval) -> list[str]:
        """What this answers, among all that has no answer yet."""
        open_ = [what for what, answer in self._answers.items() if answer is None]
        return [what for what in open_ if approval.what in ("", what)]

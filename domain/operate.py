"""What people may decide about a running saga: approve it, or say how a stuck one goes on."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """retry: try the step again now. skip: go on without it. resolve: it was settled by hand.

    `resolve` of a compensation counts as done, and the undoing goes on; `resolve` of a step after
    the pivot ends the saga as completed. Events say which it was, and who decided.
    """

    RETRY = "retry"
    SKIP = "skip"
    RESOLVE = "resolve"


@dataclass(frozen=True)
class Decision:
    """The argument of the update `operate`."""

    verdict: Verdict
    operator: str
    note: str = ""

    def __str__(self) -> str:
        words = {
            Verdict.RETRY: "tried again for",
            Verdict.SKIP: "skipped by",
            Verdict.RESOLVE: "settled by hand by",
        }
        said = f"{words[self.verdict]} {self.operator}"
        return f"{said}: {self.note}" if self.note else said


@dataclass(frozen=True)
class Approval:
    """The argument of the update `approve`. `what` may be left out if only one thing waits."""

    approved: bool
    by: str
    note: str = ""
    what: str = ""

"""What an operator may decide about a stuck saga."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """retry: try the step again. skip: go on without it. resolve: it was settled by hand."""

    RETRY = "retry"
    SKIP = "skip"
    RESOLVE = "resolve"


@dataclass(frozen=True)
class Decision:
    verdict: Verdict
    operator: str
    note: str = ""

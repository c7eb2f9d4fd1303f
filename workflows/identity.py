"""Who a saga is: what its starter wrote beside it, and what an earlier run handed on."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.saga import SagaInfo

# A saga that continues as new tells its next run what that cannot know.
HANDED_ON = "handed_on"


def saga_info(
    planned: Sequence[str], subject: tuple[str, str] | None, deadline: timedelta | None
) -> SagaInfo:
    """Raises ApplicationError where nobody wrote down for whom this saga runs."""
    info, memo = workflow.info(), workflow.memo()
    for name in ("tenant_id", "initiated_by"):
        if name not in memo:
            text = f"the memo has no {name}: start sagas by the API"
            raise ApplicationError(text, type="internal_error", non_retryable=True)
    subject_type, subject_id = subject or (None, None)
    ends = workflow.now() + deadline if deadline else None
    before = _handed_on()
    return SagaInfo(
        workflow_id=info.workflow_id,
        run_id=before.get("run_id", info.run_id),
        type=info.workflow_type,
        tenant_id=memo["tenant_id"],
        initiated_by=memo["initiated_by"],
        steps=tuple(planned),
        started_at=_time(before.get("started_at")) or workflow.now(),
        deadline_at=_time(before["deadline_at"]) if before else ends,
        subject_type=subject_type,
        subject_id=subject_id,
        parent_id=info.parent.workflow_id if info.parent else None,
    )


def is_continued() -> bool:
    return bool(_handed_on())


def is_past_pivot() -> bool:
    return bool(_handed_on().get("past_pivot"))


def seconds_left(saga: SagaInfo) -> float | None:
    """Until the deadline; None if there is none, or if the pivot is past."""
    if saga.deadline_at is None or is_past_pivot():
        return None
    return (saga.deadline_at - workflow.now()).total_seconds()


def continue_as_new(saga: SagaInfo, request: Any, *, past_pivot: bool) -> NoReturn:
    """Start the next run. Search attributes go with it; what it must know is in its memo."""
    handed_on = {
        "run_id": saga.run_id,
        "started_at": saga.started_at.isoformat(),
        "deadline_at": saga.deadline_at.isoformat() if saga.deadline_at else None,
        "past_pivot": past_pivot,
    }
    workflow.continue_as_new(request, memo={**workflow.memo(), HANDED_ON: handed_on})


def _handed_on() -> dict[str, Any]:
    found: dict[str, Any] = workflow.memo().get(HANDED_ON, {})
    return found


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

"""How a webhook fares: figures of its latest deliveries, and the log of its POSTs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Select

from api.auth import Allowed, Caller
from api.deliveries import AttemptView, attempt_view
from api.dependencies import Session
from api.paging import Pages
from api.shapes import Data, Page, Timestamp, View
from api.webhook_shapes import Health, Statistics
from api.webhook_views import statistics
from api.webhooks import own_webhook
from storage.figures import figures_of
from storage.tables import Attempt
from storage.views import ATTEMPT_ORDER, attempts_to
from storage.webhooks import recent_states

router = APIRouter(prefix="/webhooks/{webhook_id}", tags=["webhooks"])
Reader = Annotated[Caller, Depends(Allowed("read", "webhooks.read", "webhooks.manage"))]


class LoggedAttempt(AttemptView):
    """One POST, and which delivery it was of."""

    delivery_id: str


class FiguresView(View):
    """Figures of the latest deliveries of a webhook, and of their attempts."""

    webhook_id: str
    health: Health
    failing_since: Timestamp | None
    failures_in_a_row: int
    statistics: Statistics
    by_state: dict[str, int]
    attempts: int
    attempts_by_outcome: dict[str, int]
    attempts_by_status_code: dict[str, int]
    duration_ms_p50: int | None
    duration_ms_p95: int | None
    oldest_undelivered_at: Timestamp | None
    parked: int
    parked_is_exact: bool
    last_triggered_at: Timestamp | None


@router.get("/stats")
async def get_figures(webhook_id: str, caller: Reader, session: Session) -> Data[FiguresView]:
    """Get the figures of a webhook."""
    row = await own_webhook(session, webhook_id, caller)
    states = await recent_states(session, row.id)
    figures = await figures_of(session, row.id)
    return Data(
        data=FiguresView(
            webhook_id=row.id,
            health=row.health,
            failing_since=row.failing_since,
            statistics=statistics(states),
            by_state=states,
            last_triggered_at=row.last_triggered_at,
            **figures.__dict__,
        )
    )


async def wanted_attempts(
    webhook_id: str,
    caller: Reader,
    session: Session,
    outcome: Annotated[str | None, Query(max_length=32)] = None,
    status_code: Annotated[int | None, Query(ge=100, le=599)] = None,
) -> Select[Attempt]:
    row = await own_webhook(session, webhook_id, caller)
    return attempts_to(row.id, outcome=outcome, status_code=status_code)


@router.get("/logs")
async def list_attempts(
    wanted: Annotated[Select[Attempt], Depends(wanted_attempts)],
    session: Session,
    pages: Pages,
) -> Page[LoggedAttempt]:
    """List the POSTs to a webhook with what it answered, those of the newest deliveries first."""
    listed = await pages.find(session, wanted, ATTEMPT_ORDER)
    return pages.show(
        listed,
        lambda row: LoggedAttempt(**attempt_view(row).model_dump(), delivery_id=row.delivery_id),
    )

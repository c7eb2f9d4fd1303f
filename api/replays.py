"""Replays: a window of past events sent to a webhook once more, as a job that outlives us all."""

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, Field
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.service import RPCError

from api.auth import Allowed, Caller
from api.dependencies import Services, Session, Shared
from api.errors import NotFound, engine_is_away
from api.fields import Body, Moment
from api.once import OnceOnly, Reply
from api.paging import Pages
from api.shapes import Data, Page, Timestamp, View
from api.webhooks import own_webhook
from domain.replay import PER_SECOND, PER_SECOND_MAX, ReplayFilter
from runtime.lifecycle import replay_workflow_id, tell_replay
from storage import replays
from storage.lifecycle_tables import ReplayJob
from storage.replays import JOB_ORDER, JOBS, ReplayOrder, count, create_job, find_job, jobs_of
from storage.types import utc_now

router = APIRouter(tags=["replays"])
Reader = Annotated[Caller, Depends(Allowed("read", "deliveries.read", "webhooks.manage"))]
Writer = Annotated[Caller, Depends(Allowed("write", "deliveries.manage", "webhooks.manage"))]
Action = Callable[..., Awaitable[ReplayJob]]
State = Literal["running", "paused", "completed", "cancelled"]

logger = logging.getLogger("sagapost.api")


def _as_list(words: str | list[str]) -> list[str]:
    return [words] if isinstance(words, str) else words


class ReplayCreate(Body):
    """Which events. `status` is what became of them before; without it all that are settled.

    `success`, `failed`, `undelivered`; or exactly: succeeded, dead_lettered, cancelled, missing.
    """

    since: Moment
    until: Moment | None = None
    event_types: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list)
    status: Annotated[
        str | list[str], Field(examples=["undelivered"]), AfterValidator(_as_list)
    ] = Field(default_factory=list)
    never_attempted: bool = False
    rate: Annotated[int, Field(ge=1, le=PER_SECOND_MAX, description="events per second")] = (
        PER_SECOND
    )
    dry_run: Annotated[bool, Field(description="only count")] = False


class ReplayCountView(View):
    """What a replay would send now. `by_state` is what became of these events before."""

    webhook_id: str
    dry_run: Literal[True] = True
    total: int
    total_is_exact: bool
    by_state: dict[str, int]


class ReplayView(View):
    """A replay and how far it is: `total` was counted when it was asked for."""

    id: str
    webhook_id: str
    state: State
    reason: str | None
    since: Timestamp
    until: Timestamp
    event_types: list[str]
    status: list[str]
    never_attempted: bool
    rate: int
    total: int
    total_is_exact: bool
    examined: int
    sent: int
    requeued: int
    created: int
    skipped: int
    created_by: str
    workflow_id: str
    workflow_url: str
    created_at: Timestamp
    updated_at: Timestamp
    ended_at: Timestamp | None


Created = Data[ReplayView] | Data[ReplayCountView]


@router.post(
    "/webhooks/{webhook_id}/replay",
    status_code=202,
    responses={200: {"model": Data[ReplayCountView], "description": "a dry run"}},
)
async def create_replay(
    webhook_id: str, body: ReplayCreate, caller: Writer, shared: Shared, once: OnceOnly
) -> Created:
    """Send a window of events once more. With `dry_run` they are only counted."""
    filter = _filter(body)
    async with shared.database.read() as session:
        endpoint = await own_webhook(session, webhook_id, caller)
        counted = await count(session, endpoint, filter)
    if body.dry_run:
        view = ReplayCountView(
            webhook_id=webhook_id,
            total=counted.total,
            total_is_exact=counted.is_exact,
            by_state=counted.by_state,
        )
        return once.send(Reply(Data(data=view), 200))

    async def work(session: AsyncSession) -> Reply[Data[ReplayView]]:
        endpoint = await own_webhook(session, webhook_id, caller)
        order = ReplayOrder(filter, caller.key_id, body.rate)
        job = await create_job(session, endpoint, order, counted, now=utc_now())
        place = {"Location": f"/v2/replays/{job.id}"}
        return Reply(Data(data=replay_view(job, shared)), 202, place)

    created = await once.reply(Data[ReplayView], work)
    await _tell_by_id(created.data.id, shared)
    return created


def wanted_replays(
    caller: Reader,
    webhook: Annotated[str | None, Query(max_length=64)] = None,
    state: Annotated[State | None, Query()] = None,
) -> Select[ReplayJob]:
    query = jobs_of(caller.tenant_id, webhook)
    return query if state is None else query.where(JOBS.c.state == state)


@router.get("/replays")
async def list_replays(
    wanted: Annotated[Select[ReplayJob], Depends(wanted_replays)],
    session: Session,
    shared: Shared,
    pages: Pages,
) -> Page[ReplayView]:
    """List replays, the newest first."""
    listed = await pages.find(session, wanted, JOB_ORDER)
    return pages.show(listed, lambda job: replay_view(job, shared))


@router.get("/replays/{replay_id}")
async def get_replay(
    replay_id: str, caller: Reader, session: Session, shared: Shared
) -> Data[ReplayView]:
    """Get one replay: how many of how many are sent, and what it waits for, if it does."""
    return Data(data=replay_view(await _own(session, replay_id, caller), shared))


class Steering:
    """Changes one replay of the caller's, and tells its workflow."""

    def __init__(self, replay_id: str, caller: Writer, shared: Shared) -> None:
        self._replay_id = replay_id
        self._caller = caller
        self._shared = shared

    async def do(self, action: Action) -> Data[ReplayView]:
        async def work(session: AsyncSession) -> ReplayJob:
            job = await _own(session, self._replay_id, self._caller)
            return await action(session, job, now=utc_now())

        job = await self._shared.database.transact(work)
        await _tell(job, self._shared)
        return Data(data=replay_view(job, self._shared))


Steered = Annotated[Steering, Depends()]


@router.post("/replays/{replay_id}/pause")
async def pause_replay(steered: Steered) -> Data[ReplayView]:
    """Put nothing more in line until it is resumed. 409 unless it runs."""
    return await steered.do(replays.pause)


@router.post("/replays/{replay_id}/resume")
async def resume_replay(steered: Steered) -> Data[ReplayView]:
    """Go on where it was paused. 409 unless it is."""
    return await steered.do(replays.resume)


@router.post("/replays/{replay_id}/cancel")
async def cancel_replay(steered: Steered) -> Data[ReplayView]:
    """Put nothing more in line, for good. What is in line already is sent."""
    return await steered.do(replays.cancel)


async def _own(session: AsyncSession, replay_id: str, caller: Caller) -> ReplayJob:
    job = await find_job(session, replay_id, caller.tenant_id)
    if job is None:
        raise NotFound("replay", replay_id)
    return job


def _filter(body: ReplayCreate) -> ReplayFilter:
    now = utc_now()
    return ReplayFilter(
        since=body.since,
        until=min(body.until or now, now),
        event_types=tuple(body.event_types),
        states=tuple(body.status),
        never_attempted=body.never_attempted,
    )


async def _tell_by_id(replay_id: str, shared: Services) -> None:
    async with shared.database.read() as session:
        await _tell(await session.get_one(ReplayJob, replay_id), shared)


async def _tell(job: ReplayJob, shared: Services) -> None:
    """Where the engine does not answer, the worker tells it later: the row says what is so."""
    try:
        await tell_replay(shared.temporal, job)
    except (RPCError, RuntimeError) as error:
        if not engine_is_away(error):
            raise
        logger.warning("replay not told", extra={"replay": job.id, "error": str(error)})


def replay_view(job: ReplayJob, shared: Services) -> ReplayView:
    workflow_id = replay_workflow_id(job.id)
    return ReplayView.model_validate(
        job.model_dump()
        | {
            "webhook_id": job.endpoint_id,
            "status": job.states,
            "rate": job.per_second,
            "sent": job.requeued + job.created,
            "workflow_id": workflow_id,
            "workflow_url": shared.run_url(workflow_id),
        }
    )

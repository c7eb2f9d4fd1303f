"""Workflows: start one of any type, and see how far it is and what it has told."""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field, JsonValue
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Allowed, Caller
from api.dependencies import Services, Session, Shared, Wait
from api.errors import Invalid, NotFound
from api.fields import Body
from api.orders import field_names, request_of
from api.paging import InWindow, Pages
from api.shapes import Data, Page, Timestamp, View
from api.starting import Order, Starting
from domain.ids import new_uuid
from domain.saga import SagaRequest, SagaState
from storage.listing import find_own
from storage.saga_log import RUNS
from storage.tables import Event, SagaRun, SagaStep
from storage.views import RUN_ORDER, runs_of, steps_of, story_of
from workflows.registry import SagaType, all_sagas

router = APIRouter(prefix="/workflows", tags=["workflows"])
Reader = Annotated[Caller, Depends(Allowed("read", "workflows.read", "workflows.start"))]
MAY_START = Allowed("write", "workflows.start")
Starter = Annotated[Caller, Depends(MAY_START)]

# Input fields that name customer accounts, in any workflow.
PAYING_FIELDS = ("from_account", "to_account", "payer_account")
# It may be frozen, or closed: that is the workflow's own to judge.
SUBJECT_FIELDS = ("account_uuid",)
ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z", re.ASCII)


class WorkflowStart(Body):
    """A workflow to start. `GET /v2/workflow-types` tells what each takes."""

    type: Annotated[str, Field(max_length=64, examples=["open_account"])]
    input: Annotated[
        dict[str, JsonValue],
        Field(examples=[{"user_uuid": "customer-1", "name": "Operating account"}]),
    ]


class WorkflowView(View):
    """A workflow run. `state` is accepted, running, compensating, stuck, or how it ended."""

    id: str
    workflow_id: str
    run_id: str | None
    type: str
    state: SagaState
    status: SagaState
    summary: str
    subject_type: str | None
    subject_id: str | None
    parent_id: str | None
    initiated_by: str
    result: dict[str, JsonValue] | None
    failure: dict[str, JsonValue] | None
    accepted_at: Timestamp
    started_at: Timestamp | None
    deadline_at: Timestamp | None
    ended_at: Timestamp | None
    workflow_url: str


class StepRunView(View):
    """A step that was done. `undone`: it was compensated; `fenced`: before it ever came."""

    name: str
    position: int
    state: str
    attempt: int
    result: JsonValue
    undone: JsonValue
    started_at: Timestamp
    completed_at: Timestamp
    undone_at: Timestamp | None


class ToldView(View):
    """One event of the workflow's story."""

    id: str
    type: str
    sequence: int | None
    created_at: Timestamp
    data: JsonValue


class WorkflowDetail(WorkflowView):
    """A run with its input, its steps and its events."""

    input: dict[str, JsonValue]
    steps: list[StepRunView]
    events: list[ToldView]


@router.post("", status_code=202, responses={201: {"model": Data[WorkflowView]}})
async def start_workflow(
    body: WorkflowStart, caller: Starter, shared: Shared, starting: Starting, wait: Wait
) -> Data[WorkflowView]:
    """Start a workflow of any type.

    Answered 202 once it is accepted, which it is for good. With `?wait=SECONDS` and an end within
    them: 201 if it completed, 200 if it did not; `state` and `failure` say what came of it.
    """

    order = order_for(_saga(body.type), body.input, within="input")
    return await starting.start(order, Data[WorkflowView], rendering(shared), wait=wait)


def rendering(shared: Services) -> Callable[..., Awaitable[Data[WorkflowView]]]:
    async def render(_: AsyncSession, run: SagaRun) -> Data[WorkflowView]:
        return Data(data=workflow_view(run, shared))

    return render


def wanted_runs(
    caller: Reader,
    window: InWindow,
    type: Annotated[str | None, Query(max_length=64)] = None,
    state: SagaState | None = None,
    subject: Annotated[str | None, Query(max_length=64)] = None,
) -> Select[SagaRun]:
    query = runs_of(caller.tenant_id)
    if type is not None:
        query = query.where(RUNS.c.type == type)
    if state is not None:
        query = query.where(RUNS.c.state == state)
    if subject is not None:
        query = query.where(RUNS.c.subject_id == subject)
    return query.where(*window.over(RUNS.c.accepted_at))


@router.get("")
async def list_workflows(
    wanted: Annotated[Select[SagaRun], Depends(wanted_runs)],
    session: Session,
    shared: Shared,
    pages: Pages,
) -> Page[WorkflowView]:
    """List workflow runs, the newest first."""
    listed = await pages.find(session, wanted, RUN_ORDER)
    return pages.show(listed, lambda row: workflow_view(row, shared))


async def own_run(type: str, id: str, request: Request, session: Session) -> SagaRun:
    """Which scope it takes is the route's to say, and to ask for first."""
    caller: Caller = request.state.caller
    run = await find_own(session, SagaRun, f"{type}/{id}", caller.tenant_id)
    if run is None:
        raise NotFound("workflow", f"{type}/{id}")
    return run


OwnRun = Annotated[SagaRun, Depends(own_run)]


@router.get("/{type}/{id}")
async def get_workflow(
    caller: Reader, run: OwnRun, session: Session, shared: Shared
) -> Data[WorkflowDetail]:
    """Get one run by its workflow id, `{type}/{id}`: its input, its steps and its events."""
    return Data(
        data=WorkflowDetail(
            **workflow_view(run, shared).model_dump(),
            input=run.request.get("input", {}),
            steps=[_step_view(step) for step in await steps_of(session, run.workflow_id)],
            events=[_told(event) for event in await story_of(session, run.workflow_id)],
        )
    )


def workflow_view(run: SagaRun, shared: Services) -> WorkflowView:
    return WorkflowView.model_validate(
        run.model_dump()
        | {
            "id": run.workflow_id,
            "status": run.state,
            "workflow_url": shared.run_url(run.workflow_id, run.run_id),
        }
    )


def order_for(saga: SagaType, given: dict[str, JsonValue], *, within: str) -> Order:
    """The order that starts it. Raises Invalid, with the fields as the caller named them."""
    request = _request(saga, given, within)
    return Order(
        saga_type=saga.name,
        request=request,
        summary=_summary(saga, request),
        location=f"/v2/workflows/{saga.name}/{request.id}",
        accounts=_accounts(request, PAYING_FIELDS, within),
        subjects=_accounts(request, SUBJECT_FIELDS, within),
    )


def _saga(name: str) -> SagaType:
    saga = all_sagas().get(name)
    if saga is None:
        nearest = get_close_matches(name, all_sagas(), n=1)
        hint = f": did you mean '{nearest[0]}'?" if nearest else ""
        raise Invalid({"type": [f"unknown workflow type '{name}'{hint}"]})
    return saga


def _request(saga: SagaType, given: dict[str, JsonValue], within: str) -> SagaRequest:
    if unknown := sorted(given.keys() - field_names(saga)):
        text = f"{saga.name} has no such field"
        raise Invalid({_field(name, within): [text] for name in unknown})
    request = request_of(saga, given, within=within)
    if not request.id:
        return replace(request, id=new_uuid())
    if not ID_PATTERN.match(request.id):
        raise Invalid({_field("id", within): [f"an id looks like {ID_PATTERN.pattern}"]})
    return request


def _field(name: str, within: str) -> str:
    return f"{within}.{name}" if within else name


def _summary(saga: SagaType, request: SagaRequest) -> str:
    money = getattr(request, "money", None)
    named = _accounts(request, PAYING_FIELDS + SUBJECT_FIELDS, "")
    accounts = " → ".join(f"…{account_id[-4:]}" for account_id in named.values())
    words = [saga.name.replace("_", " "), str(money or ""), accounts]
    return " ".join(word for word in words if word)


def _accounts(request: SagaRequest, names: Sequence[str], within: str) -> dict[str, str]:
    return {
        _field(name, within): str(getattr(request, name))
        for name in names
        if getattr(request, name, None)
    }


def _step_view(step: SagaStep) -> StepRunView:
    return StepRunView.model_validate(step.model_dump())


def _told(event: Event) -> ToldView:
    data = json.loads(event.body)["data"] if event.body is not None else None
    return ToldView.model_validate(event.model_dump(exclude={"body"}) | {"data": data})

"""Steer a workflow that runs: cancel it, approve what it asks, decide what it is stuck at."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from pydantic import Field, JsonValue, TypeAdapter

from api.auth import Allowed, Caller
from api.body import strictly
from api.dependencies import Shared
from api.errors import Invalid, NotFound, NotNow
from api.fields import Body
from api.shapes import Data, Told, View
from api.workflows import OwnRun, WorkflowView, workflow_view
from domain.operate import Approval, Decision, Verdict
from runtime import run_control
from runtime.run_control import NoWorkerAnswers
from storage.tables import SagaRun
from workflows.registry import all_sagas

router = APIRouter(prefix="/workflows/{type}/{id}", tags=["workflows"])
Starter = Annotated[Caller, Depends(Allowed("write", "workflows.start"))]
Approver = Annotated[Caller, Depends(Allowed("workflows.approve"))]
Operator = Annotated[Caller, Depends(Allowed("workflows.operate"))]
Note = Annotated[str, Field(max_length=500)]
UpdateKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="the same key again is the same question: it is asked once",
    ),
]


class Approve(Body):
    """An answer to what a workflow asks. `what` may be left out if it asks only one thing."""

    approved: bool
    note: Note = ""
    what: Annotated[str, Field(max_length=128)] = ""


class Operate(Body):
    """How a stuck workflow goes on: `retry` the step, `skip` it, or `resolve`: settled by hand."""

    verdict: Verdict
    note: Note = ""


class Given(Body):
    """What is sent along, in order. The workflow type's own page says what it takes."""

    arguments: Annotated[list[JsonValue], Field(max_length=10)] = Field(default_factory=list)


class AnswerView(View):
    """What the workflow said."""

    workflow_id: str
    answer: JsonValue


class Questions:
    """Asks one run, and answers with what it says."""

    def __init__(self, run: OwnRun, shared: Shared, idempotency_key: UpdateKey = None) -> None:
        self._run = run
        self._shared = shared
        self._key = idempotency_key

    async def ask(self, name: str, *given: object) -> Data[AnswerView]:
        try:
            answer = await run_control.ask(
                self._shared.temporal, self._run, name, list(given), key=self._key
            )
        except NoWorkerAnswers as error:
            raise NotNow(str(error)) from None
        return Data(data=AnswerView(workflow_id=self._run.workflow_id, answer=answer))


Asking = Annotated[Questions, Depends()]


@router.post("/cancel", status_code=202)
async def cancel_workflow(caller: Starter, run: OwnRun, shared: Shared) -> Told[WorkflowView]:
    """Ask a run to turn back: it undoes what it did. After its point of no return it goes on."""
    await run_control.cancel(shared.temporal, run)
    return Told(data=workflow_view(run, shared), message=f"{run.workflow_id} is asked to turn back")


@router.post("/approve")
async def approve_workflow(body: Approve, caller: Approver, asking: Asking) -> Data[AnswerView]:
    """Answer what a run waits to have approved. 409 if it waits for nothing of the kind."""
    approval = Approval(body.approved, by=caller.key_id, note=body.note, what=body.what)
    return await asking.ask("approve", approval)


@router.post("/operate")
async def operate_workflow(body: Operate, caller: Operator, asking: Asking) -> Data[AnswerView]:
    """Decide how a stuck run goes on. 409 if it is not stuck, or not in a way that allows this."""
    decision = Decision(body.verdict, operator=caller.key_id, note=body.note)
    return await asking.ask("operate", decision)


@router.post("/signals/{name}", status_code=202)
async def signal_workflow(
    name: str, caller: Starter, run: OwnRun, body: Given, shared: Shared
) -> Told[WorkflowView]:
    """Send a run one of the signals that its type declares."""
    given = _checked(run, "signals", name, body)
    await run_control.signal(shared.temporal, run, name, given)
    return Told(data=workflow_view(run, shared), message=f"{run.workflow_id} is told {name}")


@router.post("/updates/{name}")
async def update_workflow(
    name: str, caller: Starter, run: OwnRun, body: Given, asking: Asking
) -> Data[AnswerView]:
    """Ask a run one of the updates that its type declares, and answer with what it says."""
    return await asking.ask(name, *_checked(run, "updates", name, body))


def _checked(run: SagaRun, kind: str, name: str, body: Given) -> list[Any]:
    """The arguments as the workflow's own code declares them. Raises NotFound, Invalid."""
    saga = all_sagas().get(run.type)
    declared: Any = getattr(saga, "workflow", None)
    handlers = getattr(declared.__temporal_workflow_definition, kind) if declared else {}
    handler = handlers.get(name)
    if handler is None:
        known = ", ".join(sorted(str(known) for known in handlers if known)) or "none"
        raise NotFound(f"{kind[:-1]} of {run.type}", f"{name}: it declares {known}")
    types = handler.arg_types or []
    if len(types) != len(body.arguments):
        raise Invalid({"arguments": [f"{name} takes {len(types)}, not {len(body.arguments)}"]})
    return [
        strictly(TypeAdapter(kind_of).validate_json, given, within=f"arguments.{number}")
        for number, (kind_of, given) in enumerate(zip(types, body.arguments, strict=True))
    ]

"""Workflow types: what can be started, what it takes, and what it does, from the saga registry."""

from functools import cache

from fastapi import APIRouter, Depends
from pydantic import Field, JsonValue, TypeAdapter

from api.auth import Allowed
from api.errors import NotFound
from api.shapes import Data, View
from workflows.registry import SagaType, all_sagas
from workflows.saga_type import describe

router = APIRouter(
    prefix="/workflow-types",
    tags=["workflows"],
    dependencies=[Depends(Allowed("read", "workflows.read", "workflows.start"))],
)


class StepView(View):
    name: str
    compensation: str | None
    compensatable: bool
    outside: bool


class WorkflowTypeView(View):
    """A workflow that can be started. `diagram` shows its steps and the way back."""

    name: str
    description: str
    text: str
    diagram: str
    steps: list[StepView]
    schema_: dict[str, JsonValue] = Field(alias="schema")
    example: dict[str, JsonValue]


@router.get("")
async def list_workflow_types() -> Data[list[WorkflowTypeView]]:
    """List the workflows that can be started, with the JSON schema of their input."""
    return Data(data=[workflow_type_view(name) for name in all_sagas()])


@router.get("/{name}")
async def get_workflow_type(name: str) -> Data[WorkflowTypeView]:
    """Get one workflow type."""
    if name not in all_sagas():
        raise NotFound("workflow type", name)
    return Data(data=workflow_type_view(name))


@cache
def workflow_type_view(name: str) -> WorkflowTypeView:
    described = describe(all_sagas()[name])
    return WorkflowTypeView(
        name=described.name,
        description=described.description,
        text=described.text,
        diagram=described.diagram,
        steps=[
            StepView(
                name=step.name,
                compensation=step.compensation,
                compensatable=step.compensation is not None,
                outside=step.outside,
            )
            for step in described.steps
        ],
        schema=described.schema,
        example=described.example,
    )


def input_adapter(saga: SagaType) -> TypeAdapter[object]:
    return _adapter(saga.name)


@cache
def _adapter(name: str) -> TypeAdapter[object]:
    return TypeAdapter(all_sagas()[name].request_type)

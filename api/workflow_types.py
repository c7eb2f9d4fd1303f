"""Workflow types: what can be started, what it takes, and what it does, from the saga registry."""

from functools import cache

from fastapi import APIRouter, Depends
from pydantic import Field, JsonValue, TypeAdapter

from api.auth import Allowed
from api.errors import NotFound
from api.shapes import Data, View
from workflows.registry import SagaType, all_sagas

router = APIRouter(
    prefix="/workflow-types",
    tags=["workflows"],
    dependencies=[Depends(Allowed("read", "workflows.read", "workflows.start"))],
)


class StepView(View):
    name: str
    compensatable: bool
    outside: bool


class WorkflowTypeView(View):
    """A workflow that can be started. `diagram` shows its steps and the way back."""

    name: str
    description: str
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
    saga = all_sagas()[name]
    return WorkflowTypeView.model_validate(
        {
            "name": saga.name,
            "description": saga.diagram.partition("\n")[0],
            "diagram": saga.diagram,
            "steps": [
                StepView(
                    name=step.name,
                    compensatable=step.compensation is not None,
                    outside=step.outside,
                )
                for step in saga.steps
            ],
            "schema": input_adapter(saga).json_schema(),
            "example": _example(saga),
        }
    )


def input_adapter(saga: SagaType) -> TypeAdapter[object]:
    return _adapter(saga.name)


@cache
def _adapter(name: str) -> TypeAdapter[object]:
    return TypeAdapter(all_sagas()[name].request_type)


def _example(saga: SagaType) -> object:
    return input_adapter(saga).dump_python(saga.example, mode="json", exclude_defaults=True)

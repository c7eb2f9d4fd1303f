"""What a saga's module declares, read and checked: one workflow, STEPS, EXAMPLE and a diagram.

Each TypeError says what to mend and where. Not for workflow code: it looks into modules.
"""

import ast
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from textwrap import dedent
from types import ModuleType
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from domain.saga import SagaRequest
from workflows.steps import Step

ARROWS = ("►", "▶", "→", "-->")


@dataclass(frozen=True)
class SagaType:
    """One saga as its module declares it. `diagram` is the module's docstring."""

    name: str
    workflow: type
    run: Callable[..., Any]
    request_type: type[SagaRequest]
    steps: tuple[Step[Any, Any], ...]
    example: SagaRequest
    diagram: str


@dataclass(frozen=True)
class StepDescription:
    """A step as people read of it. `compensation` is None where there is no way back."""

    name: str
    compensation: str | None
    outside: bool


@dataclass(frozen=True)
class SagaDescription:
    """A saga as people read of it. `schema` is the JSON schema of its request."""

    name: str
    description: str
    text: str
    diagram: str
    steps: tuple[StepDescription, ...]
    schema: dict[str, Any]
    example: dict[str, Any]


def describe(saga: SagaType) -> SagaDescription:
    """What `GET /v2/workflow-types` shows of it."""
    adapter = TypeAdapter(saga.request_type)
    return SagaDescription(
        name=saga.name,
        description=saga.diagram.partition("\n")[0],
        text=saga.diagram,
        diagram=drawing_in(saga.diagram),
        steps=tuple(
            StepDescription(
                step.name,
                step.compensation.__name__ if step.compensation is not None else None,
                step.outside,
            )
            for step in saga.steps
        ),
        schema=adapter.json_schema(),
        example=adapter.dump_python(saga.example, mode="json", exclude_defaults=True),
    )


def drawing_in(docstring: str) -> str:
    """The indented part of the docstring that has arrows in it; empty if nothing was drawn."""
    for paragraph in docstring.split("\n\n"):
        indented = all(line.startswith(" ") for line in paragraph.splitlines())
        if indented and any(arrow in paragraph for arrow in ARROWS):
            return dedent(paragraph)
    return ""


def saga_in(module: ModuleType) -> SagaType:
    """Read a saga's module. Raises TypeError with what to mend in it."""
    complain = _Complaint(module)
    workflow = _workflow_in(module, complain)
    name = workflow.__temporal_workflow_definition.name  # type: ignore[attr-defined]
    expected = module.__name__.rpartition(".")[2]
    if name != expected:
        complain(
            f'is named for {expected!r}: write @workflow.defn(name="{expected}"), not "{name}"'
        )
    request_type = _request_type(workflow, complain)
    diagram = (module.__doc__ or "").strip()
    if not drawing_in(diagram):
        complain(
            "must draw its steps and the way back in its docstring, indented, with ──► between them"
        )
    return SagaType(
        name=name,
        workflow=workflow,
        run=workflow.run,  # type: ignore[attr-defined]
        request_type=request_type,
        steps=_steps_in(module, complain),
        example=_example_in(module, request_type, complain),
        diagram=diagram,
    )


class _Complaint:
    def __init__(self, module: ModuleType) -> None:
        self._module = module.__name__

    def __call__(self, what: str) -> None:
        raise TypeError(f"the saga {self._module} {what}")


def _workflow_in(module: ModuleType, complain: _Complaint) -> type:
    workflows = [
        item
        for item in vars(module).values()
        if hasattr(item, "__temporal_workflow_definition") and item.__module__ == module.__name__
    ]
    if len(workflows) != 1:
        complain(f"must define one class with @workflow.defn, and defines {len(workflows)}")
    found: type = workflows[0]
    return found


def _request_type(workflow: type, complain: _Complaint) -> type[SagaRequest]:
    hints = get_type_hints(workflow.run)  # type: ignore[attr-defined]
    hints.pop("return", None)
    kinds = list(hints.values())
    if len(kinds) != 1:
        complain(f"must take one request in run(), and takes {len(kinds)}")
    [kind] = kinds
    if not (inspect.isclass(kind) and issubclass(kind, SagaRequest) and is_dataclass(kind)):
        complain(f"must take a dataclass that inherits SagaRequest, and takes {kind}")
    found: type[SagaRequest] = kind
    if not found.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        complain(f"must not change its request: make {kind.__name__} frozen")
    return found


def _example_in(
    module: ModuleType, request_type: type[SagaRequest], complain: _Complaint
) -> SagaRequest:
    example = getattr(module, "EXAMPLE", None)
    if type(example) is not request_type:
        complain(
            f"must define EXAMPLE, a {request_type.__name__} as a caller would send it: "
            "it is shown in the API's documentation, and tested"
        )
    assert isinstance(example, SagaRequest)
    return example


def _steps_in(module: ModuleType, complain: _Complaint) -> tuple[Step[Any, Any], ...]:
    steps = getattr(module, "STEPS", None)
    if not isinstance(steps, tuple) or not all(isinstance(step, Step) for step in steps):
        complain("must define STEPS, a tuple of its steps in their usual order")
    assert isinstance(steps, tuple)
    if not steps:
        complain("has no steps: what does it do?")
    for name, times in Counter(step.name for step in steps).items():
        if times > 1:
            complain(f"has {times} steps called {name!r}: tell them apart with named()")
    _check_used(module, steps, complain)
    return steps


def _check_used(
    module: ModuleType, steps: tuple[Step[Any, Any], ...], complain: _Complaint
) -> None:
    """Every planned step is run somewhere, and every step that is run is planned."""
    constants = {name: item for name, item in vars(module).items() if isinstance(item, Step)}
    try:
        tree = ast.parse(inspect.getsource(module))
    except OSError:  # Its source is not there to be read.
        return
    used, run = _names_in_functions(tree), _steps_run(tree)
    for step in steps:
        names = {name for name, item in constants.items() if item is step}
        if not names & used:
            shown = next(iter(sorted(names)), step.name)
            complain(f"never runs {shown}: run it, or take it out of STEPS")
    for name in sorted(run & constants.keys()):
        if constants[name] not in steps:
            complain(f"runs {name}, which is not planned: add it to STEPS")


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _names_in_functions(tree: ast.Module) -> set[str]:
    return {
        node.id
        for function in _functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Name)
    }


def _steps_run(tree: ast.Module) -> set[str]:
    """The constants that are given to `saga.run` or `saga.pivot`."""
    return {
        node.args[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("run", "pivot")
        and node.args
        and isinstance(node.args[0], ast.Name)
    }

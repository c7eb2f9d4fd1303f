"""Find the sagas: every module in workflows/sagas/ defines exactly one.

This is what makes a new saga one file. Sagas of other installed packages are found by the entry
point group `sagapost.sagas`. Workflow code must not import this module: it walks packages, which
has no place inside the sandbox.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, get_type_hints

from domain.saga import SagaRequest
from workflows import sagas
from workflows.deliver_events import DeliverEvents
from workflows.prune import Prune
from workflows.reconcile import Reconcile
from workflows.replay_events import ReplayEvents
from workflows.retry_delivery import RetryDelivery
from workflows.rotate_secret import RotateSecret
from workflows.steps import Step

ENTRY_POINTS = "sagapost.sagas"


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


DELIVERY_WORKFLOWS = (DeliverEvents, RetryDelivery, ReplayEvents, RotateSecret, Prune)


def saga_workflows() -> list[type]:
    """What a worker of the queue `sagas` must know."""
    return [Reconcile, *(saga.workflow for saga in all_sagas().values())]


def all_workflows() -> list[type]:
    return [*DELIVERY_WORKFLOWS, *saga_workflows()]


@cache
def all_sagas() -> dict[str, SagaType]:
    """Every saga by its type name. Raises TypeError with what to mend in a saga's module."""
    found: dict[str, SagaType] = {}
    for module in _modules():
        saga = saga_in(module)
        if saga.name in found:
            raise TypeError(f"two sagas are called {saga.name!r}: rename the one in {module}")
        found[saga.name] = saga
    return found


def _modules() -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(sagas.__path__):
        yield importlib.import_module(f"{sagas.__name__}.{module.name}")
    for entry_point in entry_points(group=ENTRY_POINTS):
        yield importlib.import_module(entry_point.module)


def saga_in(module: ModuleType) -> SagaType:
    """Read what a saga's module declares: one workflow, STEPS, EXAMPLE and a diagram."""
    workflows = [
        item
        for item in vars(module).values()
        if hasattr(item, "__temporal_workflow_definition") and item.__module__ == module.__name__
    ]
    if len(workflows) != 1:
        raise TypeError(f"{module.__name__} must define one workflow, found {len(workflows)}")
    [workflow] = workflows
    for name in ("STEPS", "EXAMPLE"):
        if not hasattr(module, name):
            raise TypeError(f"{module.__name__} must define {name}")
    hints = get_type_hints(workflow.run)
    hints.pop("return", None)
    [request_type] = hints.values()
    return SagaType(
        name=workflow.__temporal_workflow_definition.name,
        workflow=workflow,
        run=workflow.run,
        request_type=request_type,
        steps=module.STEPS,
        example=module.EXAMPLE,
        diagram=inspect.getdoc(module) or "",
    )

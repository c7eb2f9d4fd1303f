"""Find the sagas: every module in workflows/sagas/ defines exactly one.

This is what makes a new saga one file. Sagas of other installed packages are found by the entry
point group `sagapost.sagas`. Workflow code must not import this module: it walks packages, which
has no place inside the sandbox.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

from workflows import sagas
from workflows.api_key_expiry import ApiKeyExpiry
from workflows.deliver_events import DeliverEvents
from workflows.prune import Prune
from workflows.reconcile import Reconcile
from workflows.recover_endpoint import RecoverEndpoint
from workflows.replay_events import ReplayEvents
from workflows.retry_delivery import RetryDelivery
from workflows.rotate_secret import RotateSecret
from workflows.saga_type import SagaType, describe, saga_in

__all__ = ["SagaType", "all_sagas", "all_workflows", "describe", "saga_in", "saga_workflows"]

ENTRY_POINTS = "sagapost.sagas"


DELIVERY_WORKFLOWS = (DeliverEvents, ReplayEvents, RotateSecret, ApiKeyExpiry, Prune)
RETRY_WORKFLOWS = (RetryDelivery, RecoverEndpoint)


def saga_workflows() -> list[type]:
    """What a worker of the queue `sagas` must know."""
    return [Reconcile, *(saga.workflow for saga in all_sagas().values())]


def all_workflows() -> list[type]:
    return [*DELIVERY_WORKFLOWS, *RETRY_WORKFLOWS, *saga_workflows()]


@cache
def all_sagas() -> dict[str, SagaType]:
    """Every saga by its type name. Raises TypeError with what to mend in a saga's module."""
    found: dict[str, SagaType] = {}
    taken = {_name_of(workflow) for workflow in (*DELIVERY_WORKFLOWS, *RETRY_WORKFLOWS, Reconcile)}
    for module in _modules():
        saga = saga_in(module)
        if saga.name in found or saga.name in taken:
            raise TypeError(f"{saga.name!r} is taken: rename the saga in {module.__name__}")
        found[saga.name] = saga
    return found


def _modules() -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(sagas.__path__):
        yield importlib.import_module(f"{sagas.__name__}.{module.name}")
    for entry_point in entry_points(group=ENTRY_POINTS):
        yield importlib.import_module(entry_point.module)


def _name_of(workflow: type) -> str:
    name: str = workflow.__temporal_workflow_definition.name  # type: ignore[attr-defined]
    return name

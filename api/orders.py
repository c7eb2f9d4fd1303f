"""Orders for sagas that the API knows by the names of their types only: it imports none of them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from api.body import strictly
from api.errors import ApiError
from api.workflow_types import input_adapter
from domain.saga import SagaRequest
from workflows.registry import SagaType, all_sagas


def saga_named(name: str) -> SagaType:
    """Raises ApiError 501 where this installation does not have it."""
    saga = all_sagas().get(name)
    if saga is None:
        raise ApiError(f"this installation has no workflow {name}").under(501, "not_implemented")
    return saga


def request_of(saga: SagaType, given: Mapping[str, Any], *, within: str = "") -> SagaRequest:
    """The request of this saga. Raises Invalid, with the fields as the caller named them."""
    request = strictly(input_adapter(saga).validate_json, given, within=within)
    assert isinstance(request, SagaRequest)
    return request


def without_unset(**given: Any) -> dict[str, Any]:
    """What was given, so that the saga's own defaults stand for the rest."""
    return {name: value for name, value in given.items() if value is not None}


def field_names(saga: SagaType) -> set[str]:
    return {field.name for field in fields(saga.request_type)}

"""A typed route for every workflow type: `POST /v2/workflows/{type}`, its schema and its example.

Made from the saga registry: whoever adds a saga has its route.
"""

from dataclasses import MISSING, fields
from functools import cache
from typing import Any, get_type_hints

from fastapi import APIRouter, Body, Depends
from fastapi import Request as HttpRequest
from pydantic import Field, create_model

from api.dependencies import Shared, Wait
from api.fields import Body as Request
from api.shapes import Data
from api.starting import Starting
from api.workflows import MAY_START, WorkflowView, order_for, rendering
from workflows.registry import SagaType, all_sagas
from workflows.saga_type import describe


@cache
def typed_routes() -> APIRouter:
    """The same ones every time: what is installed does not change while a process runs."""
    router = APIRouter(prefix="/workflows", tags=["workflows"])
    for saga in all_sagas().values():
        _add(router, saga)
    return router


def _add(router: APIRouter, saga: SagaType) -> None:
    described = describe(saga)
    examples = {"example": {"summary": saga.name, "value": described.example}}
    request = _request_model(saga)

    async def start(
        asked: HttpRequest,
        shared: Shared,
        starting: Starting,
        wait: Wait,
        body: request = Body(openapi_examples=examples),  # type: ignore[valid-type, arg-type]  # noqa: B008
    ) -> Data[WorkflowView]:
        # As it was sent: what the model made of it no longer shows that a number was `false`.
        order = order_for(saga, await asked.json(), within="")
        return await starting.start(order, Data[WorkflowView], rendering(shared), wait=wait)

    router.add_api_route(
        f"/{saga.name}",
        start,
        methods=["POST"],
        dependencies=[Depends(MAY_START)],
        status_code=202,
        responses={201: {"model": Data[WorkflowView]}},
        name=f"start_{saga.name}",
        summary=f"Start: {described.description}",
        description=f"```\n{described.diagram}\n```",
    )


def _request_model(saga: SagaType) -> type[Request]:
    """The saga's request as a body that refuses what it does not know."""
    hints = get_type_hints(saga.request_type, include_extras=True)
    members: dict[str, Any] = {}
    for field in fields(saga.request_type):
        if field.default_factory is not MISSING:
            default: Any = Field(default_factory=field.default_factory)
        else:
            default = ... if field.default is MISSING else field.default
        members[field.name] = (hints[field.name], default)
    return create_model(
        saga.request_type.__name__,
        __base__=Request,
        __doc__=saga.request_type.__doc__,
        **members,
    )

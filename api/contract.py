"""The OpenAPI document: what a generator and a person need beyond what the routes say themselves.

Every error that an operation may answer is in it, in the one shape of api/errors.py.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.errors import MEDIA_TYPE, Problem

DESCRIPTION: Final = """
Start sagas, read what became of them, and say who is told of it by signed webhooks.

- **Keys**: `Authorization: Bearer sp_live_…`. A key does what its scopes say, for its tenant.
- **Once only**: send an `Idempotency-Key` with a POST; the same key and body give the same answer.
- **Waiting**: what takes time is answered by 202 with a `Location`; `?wait=SECONDS` waits for its
  outcome.
- **Money**: decimal strings in major units (`"50.00"`) or integers in minor units (`5000`).
- **Errors**: one shape, a problem detail (RFC 9457). `error.code` is for programs.
"""
TAGS: Final = {
    "accounts": "Open, change, freeze and close accounts; deposit and withdraw; balances.",
    "transactions": "Statements: every posting of an account.",
    "transfers": "Move money from one account to another.",
    "workflows": "Every saga that is installed: its types, its runs, and how to steer one.",
    "webhooks": "Who is told of what, how it is signed, and how the receiver is doing.",
    "deliveries": "One event on its way to one webhook, with every attempt.",
    "replays": "Send again what was told before, as a job.",
    "compliance reports": "Files of what moved, as they were submitted to a regulator.",
    "events": "What happened, in the words that webhooks are sent.",
    "partners": "Companies that build on the bank, and their first keys.",
    "sdks": "Client packages, generated from this very document.",
    "widgets": "Scripts that partners' pages load.",
    "api keys": "Keys of this tenant.",
    "maintenance": "Windows in which writes may be refused.",
    "tenants": "The customers of this installation, for its operator.",
    "status": "How the installation is doing.",
    "health": "For load balancers: is it alive, is it ready.",
}
TEXTS: Final = {
    HTTPStatus.UNAUTHORIZED: "No key, or one that is unknown, expired or revoked.",
    HTTPStatus.FORBIDDEN: "This key may not do that.",
    HTTPStatus.NOT_FOUND: "It does not exist, or belongs to somebody else.",
    HTTPStatus.CONFLICT: "Not in its present state, or not twice.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than is read.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not JSON.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Something in it is wrong: `errors` says what, by field.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too often: try again after `Retry-After` seconds.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database or the engine does not answer: try again after "
    "`Retry-After` seconds.",
}
WITH_RETRY_AFTER: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
RETRY_AFTER: Final = {
    "Retry-After": {"description": "in seconds", "schema": {"type": "integer", "minimum": 1}}
}
ENDED_OTHERWISE: Final = "It ended in the time that was waited, but did not complete."
CHANGES: Final = ("post", "put", "patch", "delete")
# The framework's own shape of a 422, which ours replaces.
NOT_OURS: Final = ("HTTPValidationError", "ValidationError")


def document_of(app: FastAPI) -> dict[str, Any]:
    """The whole document. The app keeps it: its routes do not change."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=DESCRIPTION,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        for path, method, operation in _operations(document):
            _add_errors(operation, path, method)
        _add_components(document["components"])
        app.openapi_schema = document
    return app.openapi_schema


def operation_id(route: APIRoute) -> str:
    """A function of a generated client is called like the route's.

    PUT is kept beside PATCH for clients that know no other; it needs a name of its own.
    """
    return f"{route.name}_by_put" if "PUT" in (route.methods or ()) else route.name


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _add_errors(operation: dict[str, Any], path: str, method: str) -> None:
    responses: dict[str, Any] = operation["responses"]
    responses.pop("422", None)
    if {"201", "202"} <= set(responses):
        responses.setdefault("200", responses["201"] | {"description": ENDED_OTHERWISE})
    for status in _errors_of(operation, path, method):
        responses[str(status.value)] = {"$ref": f"#/components/responses/{status.name}"}


def _errors_of(operation: dict[str, Any], path: str, method: str) -> Iterator[HTTPStatus]:
    if operation.get("security"):
        yield HTTPStatus.UNAUTHORIZED
        yield HTTPStatus.FORBIDDEN
        yield HTTPStatus.TOO_MANY_REQUESTS
    if "{" in path:
        yield HTTPStatus.NOT_FOUND
    if method in CHANGES:
        yield HTTPStatus.CONFLICT
    # Also where none is described: whoever sends one is told.
    yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    yield HTTPStatus.UNPROCESSABLE_ENTITY
    yield HTTPStatus.SERVICE_UNAVAILABLE


def _add_components(components: dict[str, Any]) -> None:
    schemas = components["schemas"]
    for name in NOT_OURS:
        schemas.pop(name, None)
    problem = Problem.model_json_schema(
        mode="serialization", ref_template="#/components/schemas/{model}"
    )
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    components["responses"] = {
        status.name: {
            "description": text,
            "content": content,
            **({"headers": RETRY_AFTER} if status in WITH_RETRY_AFTER else {}),
        }
        for status, text in TEXTS.items()
    }

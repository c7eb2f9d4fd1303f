"""How errors look to a caller: one shape for all of them.

It is a problem detail (RFC 9457) that also carries the members which the product's clients read:
`message`, `errors` by field, `error.code`, `retry_after`. Any exception becomes one by `explain`.

    ApiError
      Unauthorized, Forbidden     401, 403: no key, not this key
      NotFound                    404: absent, or another tenant's: the same answer
      Conflict                    409
      TooLarge, NotJson           413, 415
      Invalid                     422: what is wrong, by field
      TooMany                     429: too often, or too many wrong keys
      NotNow                      503: the database or the engine does not answer
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import to_json
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Refused

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:sagapost:problem:"
RETRY_AFTER_S: Final = 2

# What the thing is in, not what was sent, is in the way: later, or in another order, it may go.
CONFLICTS: Final = frozenset(
    {"already_decided", "approval_ambiguous", "not_awaited", "not_stuck", "verdict_not_allowed"}
    | {"workflow_ended", "workflow_refused", "duplicate_request", "step_fenced"}
    | {"delivery_state_conflict", "replay_state_conflict", "replay_under_way", "webhook_disabled"}
    | {"rotation_under_way", "no_rotation", "key_pair_exists", "no_key_pair"}
    | {"transfer_not_reversible", "last_key", "key_revoked", "event_exists"}
)
STATUS_OF_REFUSAL: Final = {
    **dict.fromkeys(CONFLICTS, HTTPStatus.CONFLICT),
    "payload_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
FIELD_OF_REFUSAL: Final = {
    "invalid_amount": "amount",
    "invalid_asset_code": "asset_code",
    "url_refused": "url",
    "invalid_secret": "secret",
}
CODE_OF_STATUS: Final = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "validation_failed",
}
# PostgreSQL's classes of errors that are its own trouble and pass: connection, resources,
# an operator's intervention, the system below it.
PASSING_SQLSTATES: Final = ("08", "53", "57", "58")
ENGINE_AWAY: Final = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.ABORTED,
    }
)
# Pydantic names the branches of a union in the path to an error; a caller sent no such field.
BRANCHES: Final = re.compile(r"(str|int|float|bool|dict|list|none|nullable|function-\w+.*)\Z")


class ErrorCode(BaseModel):
    code: str
    message: str
    details: dict[str, JsonValue] = {}


class Problem(BaseModel):
    """What every answer that is not 2xx looks like."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    message: str
    errors: dict[str, list[str]] = {}
    error: ErrorCode
    request_id: str
    retry_after: int | None = None


class ApiError(Exception):
    """An answer that is not 2xx. `code` is snake_case here and UPPER_CASE to the caller."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "internal_error"

    def __init__(
        self,
        text: str,
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(text)
        self.errors = dict(errors or {})
        self.details = dict(details or {})
        self.retry_after_s = retry_after_s
        self.headers: dict[str, str] = {}

    def under(self, status: int, code: str) -> "ApiError":
        """The same error with another status and code."""
        self.status, self.code = HTTPStatus(status), code
        return self


class Unauthorized(ApiError):
    status = HTTPStatus.UNAUTHORIZED
    code = "unauthorized"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.headers = {"WWW-Authenticate": 'Bearer realm="sagapost"'}


class Forbidden(ApiError):
    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class NotFound(ApiError):
    status = HTTPStatus.NOT_FOUND
    code = "not_found"

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"there is no {kind} {id}")


class Conflict(ApiError):
    status = HTTPStatus.CONFLICT
    code = "conflict"


class TooLarge(ApiError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "body_too_large"


class NotJson(ApiError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"


class Invalid(ApiError):
    """`errors` says what is wrong, by field; the first of it is the text."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "validation_failed"

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        field, texts = next(iter(errors.items()))
        super().__init__(f"{field}: {texts[0]}", errors=errors)


class TooMany(ApiError):
    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "quota_exceeded"


class NotNow(ApiError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "service_unavailable"

    def __init__(self, text: str, **details: Any) -> None:
        super().__init__(text, details=details, retry_after_s=RETRY_AFTER_S)


def explain(error: Exception) -> ApiError | None:
    """What to tell the caller; None for a bug, of which the caller learns nothing."""
    explained: ApiError | None = None
    match error:
        case ApiError():
            explained = error
        case Refused():
            explained = refusal(error)
        case RequestValidationError() | ValidationError():
            explained = Invalid(by_field(error.errors()))
        case HTTPException():
            explained = _of_status(error)
        case RPCError() | RuntimeError() if engine_is_away(error):
            explained = NotNow("the workflow engine does not answer: try again")
        case PoolTimeout() | OSError() | SQLAlchemyError() if _database_is_away(error):
            explained = NotNow("the database does not answer: try again")
    return explained


def engine_is_away(error: Exception) -> bool:
    """Whether the engine did not answer. A client that never connected says so by RuntimeError."""
    if isinstance(error, RPCError):
        return error.status in ENGINE_AWAY
    return str(error).startswith("Failed client connect")


def refusal(refused: Refused, *, field: str | None = None) -> ApiError:
    """A business "no". It names the field that was at fault where one was."""
    code, text, details = refused.reason_code, str(refused), dict(refused.details)
    field = field or details.pop("field", None) or FIELD_OF_REFUSAL.get(code)
    errors = {field: [text]} if field else None
    status = STATUS_OF_REFUSAL.get(code, HTTPStatus.UNPROCESSABLE_ENTITY)
    return ApiError(text, errors=errors, details=details).under(status, code)


def by_field(found: Sequence[Any], *, within: str = "") -> dict[str, list[str]]:
    """Pydantic's errors as sentences by field, as a form would show them."""
    errors: dict[str, list[str]] = {}
    for one in found:
        texts = errors.setdefault(_field_of(one["loc"], within) or "body", [])
        text = one["msg"].removeprefix("Value error, ")
        if (sentence := text[:1].lower() + text[1:]) not in texts:
            texts.append(sentence)
    return errors


def problem(request: Request, error: ApiError) -> Response:
    """The one shape."""
    status = HTTPStatus(error.status)
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + error.code,
        "title": status.phrase,
        "status": int(status),
        "detail": str(error),
        "instance": request.url.path,
        "message": str(error),
        "errors": error.errors,
        "error": {"code": error.code.upper(), "message": str(error), "details": error.details},
        "request_id": getattr(request.state, "request_id", ""),
    }
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        body["retry_after"] = error.retry_after_s
        headers["Retry-After"] = str(error.retry_after_s)
    return Response(to_json(body), status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Replace the framework's own two shapes. Every other error is answered by api/edge.py."""

    async def answer(request: Request, error: Exception) -> Response:
        explained = explain(error)
        assert explained is not None
        if explained.status == HTTPStatus.METHOD_NOT_ALLOWED:
            explained.headers["Allow"] = ", ".join(_methods_for(request))
        return problem(request, explained)

    app.add_exception_handler(RequestValidationError, answer)
    app.add_exception_handler(HTTPException, answer)


def _field_of(location: Sequence[str | int], within: str) -> str:
    path = [part for part in location if not BRANCHES.match(str(part))]
    if path and path[0] in ("body", "query", "path", "header"):
        path = path[1:]
    if any(isinstance(part, int) for part in path[:1]):
        path = []  # A position in a body that is not JSON.
    return ".".join(str(part) for part in ([within] if within else []) + path)


def _methods_for(request: Request) -> list[str]:
    """Every method of this very path: `/x/current` has not those of `/x/{id}`."""
    paths = request.app.openapi()["paths"]
    matching = [path for path in paths if compile_path(path)[0].match(request.url.path)]
    exact = min(matching, key=lambda path: path.count("{"), default=None)
    return [method.upper() for method in paths.get(exact, ())]


def _of_status(error: HTTPException) -> ApiError:
    code = CODE_OF_STATUS.get(error.status_code, "http_error")
    explained = ApiError(str(error.detail)).under(error.status_code, code)
    explained.headers = dict(error.headers or {})
    return explained


def _database_is_away(error: Exception) -> bool:
    """Whether it is an outage, and not a statement of ours that is wrong."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeout | OSError)
    sqlstate = str(getattr(error.orig, "sqlstate", None) or "")
    if sqlstate:
        return sqlstate.startswith(PASSING_SQLSTATES)
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)

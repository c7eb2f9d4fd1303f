"""The edge: what happens to every request before and after its route.

Each has an id, one line in the log, a head of bounded size, and an answer in the one shape whatever
goes wrong, with headers that keep browsers from doing anything clever with it. The product's
clients join paths in several ways; all of them lead to `/v2`.
"""

import logging
import re
import time
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from starlette import types
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from api import docs
from api.errors import ApiError, explain, problem
from domain.ids import new_id
from runtime.meters import Meters

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z", re.ASCII)
# `finaegis` 1.0.2 joins its base URL and a path so that the last part of the base may be lost:
# `/api/v2` and `accounts` make `/api/accounts`, and `/v2` and `accounts` make `/accounts`.
AT_THE_ROOT: Final = ("/accounts", "/transactions", "/transfers", "/webhooks")

# A head that came in one piece has passed the server's own limit, which bounds what it waits for.
HEAD_BYTES_MAX: Final = 16_384
HEADERS_MAX: Final = 100
CLIENT_GONE: Final = 499

NOTHING_ACTIVE: Final = "default-src 'none'; frame-ancestors 'none'"
CONTENT_POLICIES: Final = {"/docs": docs.CONTENT_POLICY}
EVERY_ANSWER: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
OVER_TLS: Final = {"Strict-Transport-Security": "max-age=31536000"}

logger = logging.getLogger("sagapost.api")


class Edge:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, *, meters: Meters | None = None) -> None:
        self._app = app
        self._meters = meters or Meters()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        request = Request(scope, receive)
        request.state.request_id = _request_id(request)
        scope["path"] = canonical_path(scope["path"])
        answer = _Answer(send, request)
        try:
            _check_head(scope)
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            answer.status = CLIENT_GONE  # Nobody is there to be answered.
        except Exception as error:
            if answer.status:
                raise  # Half of an answer is gone: all that is left is to break it off.
            await problem(request, _explained(error))(scope, receive, answer.send)
        finally:
            seconds = time.perf_counter() - begun
            self._meters.answered(request.method, _route_of(scope), answer.status, seconds)
            _log(request, answer.status, seconds)


class _Answer:
    """Notes the status of what is sent, and puts on it what every answer has."""

    def __init__(self, send: Send, request: Request) -> None:
        self._send = send
        self._state = request.state
        self._headers = {
            "X-Request-Id": request.state.request_id,
            "Content-Security-Policy": CONTENT_POLICIES.get(request.url.path, NOTHING_ACTIVE),
            **EVERY_ANSWER,
            **(OVER_TLS if request.url.scheme == "https" else {}),
        }
        self.status = 0

    async def send(self, part: types.Message) -> None:
        if part["type"] == "http.response.start":
            self.status = part["status"]
            headers = MutableHeaders(scope=part)
            told = getattr(self._state, "answer_headers", {})
            for name, value in (self._headers | told).items():
                headers.setdefault(name, value)
        await self._send(part)


def canonical_path(path: str) -> str:
    """Where the request goes, whichever way its client spelt it."""
    if len(path) > 1:
        path = path.removesuffix("/")
    if path.startswith(("/api/v2/", "/api/")):
        path = path.removeprefix("/api").removeprefix("/v2")
        return f"/v2{path}"
    return f"/v2{path}" if path.startswith(AT_THE_ROOT) else path


def _check_head(scope: Scope) -> None:
    headers = scope["headers"]
    size = len(scope["query_string"]) + sum(len(name) + len(value) for name, value in headers)
    if len(headers) > HEADERS_MAX or size > HEAD_BYTES_MAX:
        raise ApiError(
            f"a request has at most {HEADERS_MAX} headers, of {HEAD_BYTES_MAX} bytes in all"
        ).under(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")


def _explained(error: Exception) -> ApiError:
    explained = explain(error)
    if explained is None:
        logger.error("request failed", exc_info=error)
        return ApiError("something went wrong on our side; the request's id finds it in our log")
    return explained


def _route_of(scope: Scope) -> str:
    """The route's own path: an id in it would make a figure for each id."""
    path = getattr(scope.get("route"), "path", None)
    return path if path is not None else "none"


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if REQUEST_ID.match(given) else new_id("req")


def _log(request: Request, status: int, seconds: float) -> None:
    fields: dict[str, Any] = {
        "method": request.method,
        "path": request.url.path,
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "request_id": request.state.request_id,
    }
    caller = getattr(request.state, "caller", None)
    if caller is not None:
        fields |= {"tenant_id": caller.tenant_id, "key_id": caller.key_id}
    logger.info("request", extra=fields)

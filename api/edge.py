"""The edge: what happens to every request before and after its route.

Each has an id, one line in the log, and an answer in the one shape whatever goes wrong. The
product's clients join paths in several ways; all of them lead to `/v2`.
"""

import logging
import re
import time
from typing import Any, Final

from fastapi import Request
from starlette import types
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import ApiError, explain, problem
from domain.ids import new_id

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z", re.ASCII)
# `finaegis` 1.0.2 joins its base URL and a path so that the last part of the base may be lost:
# `/api/v2` and `accounts` make `/api/accounts`, and `/v2` and `accounts` make `/accounts`.
AT_THE_ROOT: Final = ("/accounts", "/transactions", "/transfers", "/webhooks")

logger = logging.getLogger("sagapost.api")


class Edge:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        request = Request(scope, receive)
        request.state.request_id = _request_id(request)
        scope["path"] = canonical_path(scope["path"])
        answer = _Answer(send, request.state.request_id)
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:
            if answer.status:
                raise  # Half of an answer is gone: all that is left is to break it off.
            await problem(request, _explained(error))(scope, receive, answer.send)
        finally:
            _log(request, answer.status, time.perf_counter() - begun)


class _Answer:
    """Notes the status of what is sent, and puts the request's id on it."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    async def send(self, part: types.Message) -> None:
        if part["type"] == "http.response.start":
            self.status = part["status"]
            headers = MutableHeaders(scope=part)
            headers["X-Request-Id"] = self._request_id
            headers.setdefault("Cache-Control", "no-store")
        await self._send(part)


def canonical_path(path: str) -> str:
    """Where the request goes, whichever way its client spelt it."""
    if len(path) > 1:
        path = path.removesuffix("/")
    if path.startswith(("/api/v2/", "/api/")):
        path = path.removeprefix("/api").removeprefix("/v2")
        return f"/v2{path}"
    return f"/v2{path}" if path.startswith(AT_THE_ROOT) else path


def _explained(error: Exception) -> ApiError:
    explained = explain(error)
    if explained is None:
        logger.error("request failed", exc_info=error)
        return ApiError("something went wrong on our side; the request's id finds it in our log")
    return explained


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

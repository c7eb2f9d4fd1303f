"""Request bodies: read once, of bounded size, and JSON whatever the client calls it.

`curl -d` says that it sends a form although it sends JSON, and the product's own examples do that.
"""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

from fastapi import Request
from pydantic import ValidationError
from starlette import types
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import Invalid, NotJson, TooLarge, by_field

JSON_TYPE: Final = re.compile(r"application/([\w.-]+\+)?json\b", re.IGNORECASE)
NUL: Final = re.compile(r"(?<!\\)(\\\\)*\\u0000")

Valid = TypeVar("Valid")


class Bodies:
    """The middleware that has read the whole body before a route runs."""

    def __init__(self, app: ASGIApp, *, bytes_max: int) -> None:
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        _check_query(scope["query_string"])
        body = await _read(request, self._bytes_max)
        if body:
            content = _check_json(request.headers.get("content-type", ""), body)
            request.state.fingerprint = hashlib.sha256(content).hexdigest()
            MutableHeaders(scope=scope)["content-type"] = "application/json"
        await self._app(scope, _again(body, receive), send)


async def _read(request: Request, bytes_max: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    too_large = TooLarge(f"a request body has at most {bytes_max} bytes")
    if declared.isdigit() and int(declared) > bytes_max:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > bytes_max:
            raise too_large
    return bytes(body)


def _check_query(query: bytes) -> None:
    if b"%00" in query or b"\0" in query:
        raise Invalid({"query": ["the query may not have NUL characters"]})


def _check_json(content_type: str, body: bytes) -> bytes:
    """The body in one canonical form. Raises NotJson, or Invalid for JSON that is broken."""
    try:
        content = json.loads(body, parse_constant=_no_constant)
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        canonical = text.encode()
    except (ValueError, RecursionError) as error:
        if content_type and not JSON_TYPE.match(content_type):
            raise NotJson(
                "send JSON: this body is not, and its Content-Type is not application/json"
            ) from None
        raise Invalid({"body": [_what_is_wrong(error)]}) from None
    if NUL.search(text):
        raise Invalid({"body": ["a text may not have NUL characters"]})
    return canonical


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _what_is_wrong(error: Exception) -> str:
    match error:
        case json.JSONDecodeError():
            where = f"line {error.lineno}, column {error.colno}"
            return f"this is not JSON: {error.msg.lower()} at {where}"
        case UnicodeError():
            return "this is not JSON in UTF-8"
        case RecursionError():
            return "this JSON is nested too deeply"
        case _:
            return f"this is not JSON: {error}"


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand the body on; after it, whatever comes, such as the client going away."""
    parts: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> types.Message:
        return parts.pop() if parts else await receive()

    return read


def strictly(validate_json: Callable[..., Valid], given: Any, *, within: str = "") -> Valid:
    """What JSON stands for, where its type is known only when it is there: `validate_json` is
    pydantic's, of that type. `false` is no number, and a number is no moment.

    Raises Invalid, with the fields as the caller named them.
    """
    try:
        return validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        raise Invalid(by_field(error.errors(), within=within)) from None

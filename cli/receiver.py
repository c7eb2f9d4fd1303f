"""A webhook receiver: verifies each POST, answers as told, and keeps what it got.

It verifies with the `standardwebhooks` package, which is not ours: what passes here passes at a
receiver that never heard of us.
"""

import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from standardwebhooks import Webhook, WebhookVerificationError

BODY_BYTES_MAX = 1024 * 1024
EVENTS_COUNTED_MAX = 100_000
FORWARD_TIMEOUT = aiohttp.ClientTimeout(total=15)
# Each hop has its own of these (RFC 9110 §7.6.1), and the body is sent anew.
NOT_FORWARDED = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "transfer-encoding", "upgrade"}
)


@dataclass(frozen=True)
class Answers:
    """How to answer: 500 to the first POSTs of each event, then the app's answer or `status`."""

    status: int = 200
    fail_first: int = 0
    forward_url: str | None = None


@dataclass(frozen=True)
class Received:
    """One POST. Header names are in lower case; `verified` is None where no secret is known."""

    received_at: str
    headers: dict[str, str]
    body_sha256: str
    event_id: str | None
    event_type: str | None
    sequence: int | None
    workflow_id: str | None
    data: Any
    delivery_id: str | None
    attempt: int
    verified: bool | None
    problem: str | None
    status: int

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


class Receiver:
    """An HTTP server that hands each POST to `on_post` before it answers."""

    def __init__(
        self,
        on_post: Callable[[Received], None],
        *,
        answers: Answers | None = None,
        secret: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._on_post = on_post
        self._answers = answers or Answers()
        self._secret = secret
        self._posts: OrderedDict[str, int] = OrderedDict()
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_get("/{path:.*}", _greet)
        app.router.add_post("/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, host: str, port: int) -> str:
        """Listen, on a free port where `port` is 0, and return the URL."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound = self._runner.addresses[0][1]
        return f"http://{f'[{host}]' if ':' in host else host}:{bound}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        event_id = headers.get("webhook-id")
        attempt = self._count(event_id) if event_id else 1
        secret = self._secret()
        problem = find_problem(secret, headers, body) if secret else None
        answer = await self._answer(headers, body, attempt=attempt, problem=problem)
        envelope = _envelope(body)
        self._on_post(
            Received(
                received_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                headers=headers,
                body_sha256=hashlib.sha256(body).hexdigest(),
                event_id=event_id,
                event_type=envelope.get("event_type"),
                sequence=envelope.get("sequence"),
                workflow_id=envelope.get("workflow_id"),
                data=envelope.get("data"),
                delivery_id=headers.get("x-webhook-delivery"),
                attempt=attempt,
                verified=problem is None if secret else None,
                problem=problem,
                status=answer.status,
            )
        )
        return answer

    def _count(self, event_id: str) -> int:
        """How often this event came, this time included. Forgets the longest unseen."""
        self._posts[event_id] = self._posts.pop(event_id, 0) + 1
        if len(self._posts) > EVENTS_COUNTED_MAX:
            self._posts.popitem(last=False)
        return self._posts[event_id]

    async def _answer(
        self, headers: Mapping[str, str], body: bytes, *, attempt: int, problem: str | None
    ) -> web.Response:
        if problem is not None:
            return web.Response(status=401, text=problem)
        if attempt <= self._answers.fail_first:
            return web.Response(status=500, text="told to fail first")
        if self._answers.forward_url is not None:
            return await _forward(self._answers.forward_url, headers, body)
        return web.Response(status=self._answers.status)


def find_problem(secret: str, headers: Mapping[str, str], body: bytes) -> str | None:
    """Why a POST is not to be trusted, if it is not. Header names are in lower case."""
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        return f"webhook-signature: {error}"
    if _is_newest(secret, headers, body) and not _is_product_signature(secret, headers, body):
        return "x-finaegis-signature: does not match"
    return None


def _is_newest(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """While a rotation overlaps, the product's scheme is signed with the newest secret only.

    That one comes first among the standard signatures.
    """
    first = next(one for one in headers["webhook-signature"].split(" ") if one.startswith("v1,"))
    sent_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    return hmac.compare_digest(
        first, Webhook(secret).sign(headers["webhook-id"], sent_at, body.decode())
    )


def _is_product_signature(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """The product page's own scheme, checked where it is used."""
    given = headers.get("x-finaegis-signature")
    if given is None:
        return True
    if given.startswith("sha256="):
        stamp = headers.get("x-finaegis-timestamp", "")
        expected = "sha256=" + _hmac(secret, stamp.encode() + b"." + body)
    else:  # The endpoint option `body_hex`: what the product's samples check.
        expected = _hmac(secret, body)
    return hmac.compare_digest(given.encode(), expected.encode())


def _hmac(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _envelope(body: bytes) -> dict[str, Any]:
    try:
        envelope = json.loads(body)
    except ValueError:
        return {}
    return envelope if isinstance(envelope, dict) else {}


async def _forward(url: str, headers: Mapping[str, str], body: bytes) -> web.Response:
    passed_on = {name: value for name, value in headers.items() if name not in NOT_FORWARDED}
    try:
        async with (
            aiohttp.ClientSession(timeout=FORWARD_TIMEOUT, auto_decompress=False) as session,
            session.post(url, data=body, headers=passed_on, allow_redirects=False) as answer,
        ):
            # What the app asks of the sender counts: `Retry-After`, `webhook-delivery: disable`.
            passed_back = [
                (name, value)
                for name, value in answer.headers.items()
                if name.lower() not in NOT_FORWARDED
            ]
            return web.Response(
                status=answer.status, headers=CIMultiDict(passed_back), body=await answer.read()
            )
    except (aiohttp.ClientError, TimeoutError) as error:
        return web.Response(status=502, text=f"{url} does not answer: {type(error).__name__}")


async def _greet(_request: web.Request) -> web.Response:
    return web.Response(text="sagapost listen: send webhooks here by POST\n")


class ReceivedLog:
    """Appends each POST to a file, as one JSON object per line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def add(self, received: Received) -> None:
        self._file.write(received.as_json() + "\n")

    def close(self) -> None:
        self._file.close()

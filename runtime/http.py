"""The webhook client: one guarded POST to an address that a stranger chose.

Path of an event, 5 of 6. Before: activities/webhooks.py. Next: workflows/retry_delivery.py.

Whatever the receiver, its DNS or the network does ends as an `AttemptOutcome`: within the deadline,
in bounded memory, and without a byte sent to an address that was not vetted.
"""

import asyncio
import logging
import ssl
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_network
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from domain.delivery import (
    RESPONSE_BODY_MAX,
    AttemptOutcome,
    Control,
    OutcomeClass,
    parse_retry_after,
)
from domain.headers import can_be_sent
from domain.url_policy import UrlPolicy, check_url
from runtime.address_guard import AddressGuard, GuardedConnector, Resolver, SystemResolver
from runtime.bulkhead import Bulkhead
from runtime.http_failures import failure

HEADER_LINE_MAX: Final = 8190
HEADERS_MAX: Final = 64
URLS_CACHED: Final = 1024
CONTROLS: Final[dict[str, Control]] = {"disable": "disable", "abort": "abort"}

# Behind a forward proxy only the proxy is dialled, and the operator vouches for it.
ANYWHERE: Final = UrlPolicy(allow_networks=(ip_network("0.0.0.0/0"), ip_network("::/0")))

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClientLimits:
    """What one process lends to all receivers, and what to one."""

    exchanges_max: int = 500
    exchanges_per_origin_max: int = 50
    dns_deadline: timedelta = timedelta(seconds=5)
    connect_deadline: timedelta = timedelta(seconds=5)
    dns_ttl: timedelta = timedelta(seconds=5)


class WebhookClient:
    """Open it once per process: `async with WebhookClient(policy) as client`.

    With a `proxy` (`http://…`), names are resolved there, and it must vet them as Smokescreen does;
    URLs and IP literals are still vetted here.
    """

    def __init__(
        self,
        policy: UrlPolicy,
        *,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        limits: ClientLimits | None = None,
    ) -> None:
        limits = limits or ClientLimits()
        self._policy = policy
        self._limits = limits
        self._proxy = _proxy_url(proxy)
        self._ssl_context = ssl_context or ssl.create_default_context()
        self._guard = AddressGuard(
            ANYWHERE if proxy else policy, resolver or SystemResolver(), limits.dns_deadline
        )
        self._take_apart = lru_cache(URLS_CACHED)(self._take_apart_anew)
        self._bulkhead = Bulkhead(limits.exchanges_max, limits.exchanges_per_origin_max)

    @property
    def dialled(self) -> int:
        """How many sockets were opened so far."""
        return self._guard.dialled

    @property
    def open_sockets(self) -> int:
        """How many are open now, in use or idle."""
        return self._guard.open_sockets

    async def __aenter__(self) -> Self:
        connect = self._limits.connect_deadline.total_seconds()
        dns = self._limits.dns_deadline.total_seconds()
        self._session = aiohttp.ClientSession(
            connector=GuardedConnector(
                self._guard,
                ssl_context=self._ssl_context,
                dns_ttl=self._limits.dns_ttl,
                sockets_max=self._limits.exchanges_max,
            ),
            timeout=aiohttp.ClientTimeout(total=None, connect=dns + connect, sock_connect=connect),
            headers={"Accept-Encoding": "identity"},
            skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=RESPONSE_BODY_MAX,
            max_line_size=HEADER_LINE_MAX,
            max_field_size=HEADER_LINE_MAX,
            max_headers=HEADERS_MAX,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()
        await self._guard.close()

    async def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes, deadline: timedelta
    ) -> AttemptOutcome:
        """POST once. Never raises for anything that the other side or the network does."""
        started = time.monotonic()
        try:
            outcome = await self._post(url, headers, body, deadline.total_seconds())
        except Exception as error:  # Total: one receiver must not fail a batch of deliveries.
            outcome = failure(error)
            if outcome.outcome is OutcomeClass.UNEXPECTED:
                _log_unexpected(error)
        return replace(outcome, duration_ms=round((time.monotonic() - started) * 1000))

    async def _post(
        self, url: str, headers: Mapping[str, str], body: bytes, seconds: float
    ) -> AttemptOutcome:
        if not can_be_sent(headers):
            raise ValueError("a header that is not one was about to be sent")
        origin, checked_url = self._take_apart(url)
        until = asyncio.get_running_loop().time() + seconds
        async with self._bulkhead.slot(origin, until), asyncio.timeout_at(until):
            return await self._exchange(checked_url, headers, body)

    def _take_apart_anew(self, url: str) -> tuple[str, URL]:
        """The origin, and the URL put together again from parts that aiohttp cannot misread."""
        target = check_url(url, self._policy)
        return target.origin, URL(f"{target.origin}{target.path}", encoded=True)

    async def _exchange(self, url: URL, headers: Mapping[str, str], body: bytes) -> AttemptOutcome:
        async with self._session.post(
            url,
            data=body,
            headers=headers,
            allow_redirects=False,
            proxy=self._proxy,
        ) as response:
            kept = await _read_start(response.content)
            if not response.content.at_eof():
                response.close()
            return _answered(response, kept)


def _proxy_url(text: str | None) -> URL | None:
    if text and not text.startswith("http://"):
        raise ValueError("write the forward proxy as http://host:port")
    return URL(text) if text else None


async def _read_start(content: aiohttp.StreamReader) -> bytes:
    """The first 16 KiB, as they came: never decompressed, never more in memory."""
    kept = bytearray()
    while len(kept) < RESPONSE_BODY_MAX:
        chunk = await content.read(RESPONSE_BODY_MAX - len(kept))
        if not chunk:
            break
        kept += chunk
    return bytes(kept)


def _answered(response: aiohttp.ClientResponse, body: bytes) -> AttemptOutcome:
    retry_after = response.headers.get("Retry-After")
    return AttemptOutcome(
        OutcomeClass.ANSWERED,
        response.status,
        retry_after=parse_retry_after(retry_after, datetime.now(UTC)) if retry_after else None,
        control=CONTROLS.get(response.headers.get("webhook-delivery", "").strip().lower()),
        response_headers=tuple(
            (_storable(name), _storable(value)) for name, value in response.headers.items()
        ),
        response_body=body,
    )


def _storable(text: str) -> str:
    """Header text as any database and JSON can hold it: aiohttp passes bad UTF-8 as surrogates."""
    if text.isascii() and text.isprintable():
        return text
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in readable)


def _log_unexpected(error: Exception) -> None:
    # Without the error's own text, which may repeat a URL and the secrets in its query.
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("attempt failed unexpectedly: %s\n%s", type(error).__name__, frames)

"""Clients that want to hold our API up: each connection ends in time, and good ones are served."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from inspect import signature
from unittest.mock import MagicMock

import pytest
import pytest_asyncio
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api import connections
from api.body import Bodies
from api.connections import HEAD_BYTES_MAX, ServerConfig
from api.edge import Edge
from api.main import is_loopback, warn_of_plain_text
from runtime.settings import Settings
from tests.runtime.stand_ins import free_ports

WITHIN_S = 0.5
SLACK_S = 0.6
CONNECTIONS_MAX = 20
LONG = 8_000_000
HEAD = b"POST / HTTP/1.1\r\nHost: api\r\n"
GET = b"GET / HTTP/1.1\r\nHost: api\r\n\r\n"

# What each of them sends first, and then again and again.
SLOW = {
    "nothing": (b"", b""),
    "a request line a byte at a time": (b"GET /", b"a"),
    "a header a byte at a time": (HEAD + b"X: ", b"a"),
    "headers without end": (HEAD, b"X: y\r\n"),
    "a body a byte at a time": (HEAD + b"Content-Length: 1000\r\n\r\n", b" "),
    "a body in chunks of one byte": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "half a body and no more": (HEAD + b"Content-Length: 10\r\n\r\nhalf", b""),
    "empty lines": (b"\r\n", b"\r\n"),
    "a good request, then half of one": (GET + HEAD + b"Content-Length: 9\r\n\r\nh", b""),
}


async def answers(scope: Scope, receive: Receive, send: Send) -> None:
    """A route: `/long` has an answer that no socket buffer holds."""
    body = "x" * LONG if scope["path"] == "/long" else "ok"
    await PlainTextResponse(body)(scope, receive, send)


@pytest.fixture(autouse=True)
def nothing_unexpected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No client may reach code that nobody thought of, or fill our log with tracebacks."""
    yield
    assert not [record for record in caplog.records if record.exc_info]


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    async with serving(edge(Bodies(answers, bytes_max=4_096))) as port:
        yield port


def edge(app: ASGIApp) -> Edge:
    """With stand-ins for whatever counts and measures there."""
    others = [name for name in signature(Edge).parameters if name != "app"]
    return Edge(app, **{name: MagicMock() for name in others})


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[int]:
    [port] = free_ports(1)
    settings = Settings(
        api_port=port,
        api_request_timeout=f"{WITHIN_S * 1000:.0f}ms",
        api_connections_max=CONNECTIONS_MAX,
    )
    server = uvicorn.Server(ServerConfig(app, settings, let_end_s=1))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield port
    finally:
        await server.shutdown()


@pytest.mark.parametrize("name", SLOW)
async def test_a_request_that_does_not_end_is_hung_up_on(port: int, name: str) -> None:
    first, again = SLOW[name]
    begun = time.monotonic()

    answer = await until_hung_up(port, first, again)

    assert time.monotonic() - begun < WITHIN_S + SLACK_S
    assert b"500" not in answer.split(b"\r\n")[0]


async def test_a_slow_request_is_told_why(port: int) -> None:
    answer = await until_hung_up(port, HEAD + b"Content-Length: 9\r\n\r\nh", b"")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in answer


async def test_good_clients_are_served_beside_slow_ones(port: int) -> None:
    first, again = SLOW["a header a byte at a time"]
    slow = [
        asyncio.create_task(until_hung_up(port, first, again)) for _ in range(CONNECTIONS_MAX - 5)
    ]
    good = [await ask(port, GET) for _ in range(50)]
    await asyncio.gather(*slow)

    assert {answer.split(b"\r\n")[0] for answer in good} == {b"HTTP/1.1 200 OK"}


async def test_more_connections_than_we_serve_are_refused_and_then_forgotten(port: int) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS_MAX)]
    assert (await ask(port, GET)).startswith(b"HTTP/1.1 503 ")

    many = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS_MAX * 2)]
    await asyncio.sleep(0.05)
    assert sum(reader.at_eof() for reader, _ in many) >= CONNECTIONS_MAX

    await asyncio.sleep(WITHIN_S + SLACK_S)
    assert (await ask(port, GET)).startswith(b"HTTP/1.1 200 ")
    for _, writer in idle + many:
        writer.close()


async def test_an_answer_that_is_never_read_does_not_stay(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNREAD_S", 0.3)
    monkeypatch.setattr(connections, "GOODBYE_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(GET.replace(b" / ", b" /long "))
    await asyncio.sleep(0.8)

    writer.transport.resume_reading()  # type: ignore[attr-defined]
    received = 0
    with suppress(OSError):
        while part := await reader.read(65536):
            received += len(part)
    assert received < LONG
    writer.close()


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X: " + b"a" * (HEAD_BYTES_MAX + 1) + b"\r\n\r\n",
        HEAD + b"X: y\r\n" * 200 + b"\r\n",
        b"GET /?" + b"a" * (HEAD_BYTES_MAX + 1) + b" HTTP/1.1\r\nHost: api\r\n\r\n",
    ],
)
async def test_a_head_has_limits_even_where_it_comes_in_one_piece(port: int, head: bytes) -> None:
    status = (await ask(port, head)).split(b" ")[1]

    assert status in (b"400", b"431")


async def test_a_body_has_a_limit_whatever_its_length_is_said_to_be(port: int) -> None:
    sized = await ask(port, HEAD + b"Content-Length: 5000\r\n\r\n")
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    chunked = await ask(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3)

    assert sized.split(b" ")[1] == chunked.split(b" ")[1] == b"413"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: api\r\nHost: other\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b" X: folded\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: api\r\n\r\n",
        b"GET / HTTP/1.1\nHost: api\n\n",
    ],
)
async def test_what_is_not_http_gets_no_further_than_the_door(port: int, garbage: bytes) -> None:
    answer = await ask(port, garbage)

    assert not answer or answer.split(b" ")[1] in (b"400", b"200", b"413", b"501")
    assert b"Traceback" not in answer
    assert (await ask(port, GET)).startswith(b"HTTP/1.1 200 ")


async def test_garbage_in_the_middle_of_an_answer_makes_no_noise(port: int) -> None:
    await ask(port, GET.replace(b" / ", b" /long ") + b"\0garbage\r\n\r\n" * 20)

    assert (await ask(port, GET)).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_goes_away_is_no_error_of_ours(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="sagapost.api")
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"Content-Length: 10\r\n\r\nhalf")
    await asyncio.sleep(0.05)
    writer.close()
    await asyncio.sleep(0.05)

    assert [record.__dict__["status"] for record in caplog.records] == [499]


async def test_no_answer_tells_what_server_it_is_or_lets_a_browser_guess(port: int) -> None:
    answer = (await ask(port, GET)).decode().lower()

    assert "\r\nserver:" not in answer
    assert "uvicorn" not in answer
    for line in (
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
    ):
        assert f"\r\n{line}\r\n" in answer
    assert "strict-transport-security" not in answer


@pytest.mark.parametrize(
    ("host", "warned"),
    [("127.0.0.1", 0), ("::1", 0), ("localhost", 0), ("0.0.0.0", 1), ("api.internal", 1)],
)
def test_leaving_loopback_without_tls_is_warned_of(
    host: str, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_plain_text(Settings(api_host=host))

    assert len(caplog.records) == warned
    assert is_loopback(host) is not bool(warned)


def test_by_default_everything_listens_on_loopback_only() -> None:
    assert is_loopback(Settings().api_host)


async def until_hung_up(port: int, first: bytes, again: bytes) -> bytes:
    """Send until the server ends the connection; what it answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = bytearray()

    async def read() -> None:
        with suppress(OSError):
            while part := await reader.read(65536):
                received.extend(part)

    reading = asyncio.create_task(read())
    writer.write(first)
    with suppress(OSError):
        while not reading.done():
            writer.write(again)
            await asyncio.wait([reading], timeout=0.02)
    await reading
    writer.close()
    return bytes(received)


async def ask(port: int, raw: bytes) -> bytes:
    """Send one request; the start of what is answered before the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    try:
        async with asyncio.timeout(2):
            return await reader.read(65536)
    except ConnectionError:
        return b""
    finally:
        writer.close()

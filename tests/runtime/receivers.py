"""Receivers with real sockets that do to a client whatever a test tells them to."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import trustme

AUTHORITY = trustme.CA()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Caller:
    """One connection to a receiver, after it sent a request."""

    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def drip(self, raw: bytes, seconds: float) -> None:
        while True:
            await self.send(raw)
            await asyncio.sleep(seconds)


Answer = Callable[[Caller], Awaitable[None]]


@dataclass
class Receiver:
    """Answers each request on each connection, and remembers what it was sent."""

    answer: Answer
    port: int = 0
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    reads_bodies: bool = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def lines(self, index: int = -1) -> list[str]:
        """The request line and the headers of one request."""
        return self.heads[index].decode().rstrip().split("\r\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await self.answer(await self._request(reader, writer))
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Caller:
        head = await reader.readuntil(b"\r\n\r\n")
        length = CONTENT_LENGTH.search(head)
        body = b""
        if length and self.reads_bodies:
            body = await reader.readexactly(int(length[1]))
        self.heads.append(head)
        self.bodies.append(body)
        return Caller(head, body, reader, writer)


def always(raw: bytes) -> Answer:
    async def answer(caller: Caller) -> None:
        await caller.send(raw)

    return answer


def once(raw: bytes) -> Answer:
    """Answer, and hang up."""

    async def answer(caller: Caller) -> None:
        await caller.send(raw)
        caller.writer.close()

    return answer


async def silence(_: Caller) -> None:
    await asyncio.sleep(60)


def http(status: int, *headers: str, body: bytes = b"") -> bytes:
    """A well-formed answer."""
    head = [f"HTTP/1.1 {status} Whatever", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


@asynccontextmanager
async def receiving(
    answer: Answer,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    reads_bodies: bool = True,
) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer, reads_bodies=reads_bodies)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await receiver.serve(reader, writer)

    server = await asyncio.start_server(serve, host, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def server_tls(
    names: list[str | None], *hosts: str, authority: trustme.CA = AUTHORITY
) -> ssl.SSLContext:
    """A receiver's TLS, which notes the server names that it was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts).configure_cert(context)
    context.sni_callback = lambda _, name, __: names.append(name)
    return context

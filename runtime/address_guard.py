"""The guard at the socket: no connection is dialled to an address that was not vetted.

Three checks, so that no path round one of them exists: every answer of the resolver, the address of
each socket just before it is dialled (the only check that also sees IP literals), and what the
kernel says we are connected to, before anything is sent.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import lru_cache, partial
from ssl import SSLContext
from typing import Final, TypeAlias
from weakref import WeakSet

from aiohttp import (
    ClientRequest,
    ClientTimeout,
    ConnectionTimeoutError,
    ServerDisconnectedError,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import AddrInfoType, Connection
from aiohttp.tracing import Trace

from domain.url_policy import Address, UrlPolicy, UrlRefused, check_address
from runtime import answer_cap
from runtime.dials import Dials

Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

LOOKUP_THREADS: Final = 64
ADDRESSES_MAX: Final = 4  # A name with a thousand addresses must not make us scan them.
VERDICTS_CACHED: Final = 4096
CLOSED: Final = -1  # The file number of a closed socket.
DIALS_AT_ONCE_MAX: Final = 32  # To one origin: well below the shortest usual queue.
IDLE_SECONDS_MAX: Final = 4.0  # Common servers drop idle connections after five: be first.


class SystemResolver:
    """The system's resolver, on threads of its own: names that hang delay only other lookups."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _addresses, host, port)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class AddressGuard(AbstractResolver):
    """Vets addresses for one policy, and counts what was dialled."""

    def __init__(self, policy: UrlPolicy, resolver: Resolver, deadline: timedelta) -> None:
        self._policy = policy
        self._resolver = resolver
        self._deadline = deadline.total_seconds()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._vet_cached = lru_cache(VERDICTS_CACHED)(self._vet_anew)
        self.dialled = 0

    @property
    def open_sockets(self) -> int:
        return sum(made.fileno() != CLOSED for made in self._sockets)

    def has_open_more_than(self, sockets_max: int) -> bool:
        """The same, but counting only where it can matter: a closed socket may linger in memory."""
        return len(self._sockets) > sockets_max and self.open_sockets > sockets_max

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Every address of the host, if all of them may be dialled. Raises OSError, UrlRefused."""
        addresses = await self._look_up(host, port)
        for address in addresses:
            self.vet(address)
        return [_resolved(host, address, port) for address in addresses[:ADDRESSES_MAX]]

    def vet(self, address: str) -> None:
        """Raise UrlRefused unless the address may be dialled, never saying which address it was."""
        self._vet_cached(address)

    def make_socket(self, address_info: AddrInfoType) -> socket.socket:
        """The hook just before each dial: what is vetted here is what the kernel is given."""
        family, kind, protocol, _, address = address_info
        self.vet(address[0])
        self.dialled += 1
        made = socket.socket(family, kind, protocol)
        self._sockets.add(made)
        return made

    async def close(self) -> None:
        if isinstance(self._resolver, SystemResolver):
            self._resolver.close()

    def _vet_anew(self, text: str) -> Address:
        try:
            return check_address(text, self._policy)
        except UrlRefused:
            raise UrlRefused("address_denied") from None

    async def _look_up(self, host: str, port: int) -> list[str]:
        if host == "localhost":  # Never a question for a resolver (RFC 6761).
            return self._policy.loopback()
        try:
            async with asyncio.timeout(self._deadline):
                addresses = await self._resolver(host, port)
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "no answer in time") from None
        except UnicodeError:
            raise socket.gaierror(socket.EAI_NONAME, "not a name") from None
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return addresses


class GuardedConnector(TCPConnector):
    """aiohttp's pool, with the guard at each place where an address is chosen or met, and with
    connections that read no more of an answer than is ever looked at."""

    def __init__(
        self,
        guard: AddressGuard,
        *,
        ssl_context: SSLContext,
        dns_ttl: timedelta,
        sockets_max: int,
    ) -> None:
        super().__init__(
            resolver=guard,
            socket_factory=guard.make_socket,
            ssl=ssl_context,
            use_dns_cache=bool(dns_ttl),
            ttl_dns_cache=max(1, round(dns_ttl.total_seconds())),
            keepalive_timeout=IDLE_SECONDS_MAX,
            limit=0,  # The bulkhead in front of it is the limit.
        )
        self._factory = partial(answer_cap.reader, loop=self._loop)
        self._guard = guard
        self._sockets_max = sockets_max
        self._dials = Dials(DIALS_AT_ONCE_MAX)

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> Connection:
        origin = req.connection_key
        await self._may_dial(origin, timeout.connect)
        try:
            connection = await super().connect(req, traces, timeout)
        finally:
            self._dials.end(origin)
        try:
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        connection.add_callback(partial(self._done_with_one, origin))
        return connection

    def _done_with_one(self, origin: ConnectionKey) -> None:
        # Called before aiohttp keeps or closes it: whoever waits is to find it kept.
        self._loop.call_soon(self._dials.let_one_more, origin)

    async def _may_dial(self, origin: ConnectionKey, seconds: float | None) -> None:
        """Only an origin that takes no connections keeps others waiting for so long."""
        if self._dials.begin_at_once(origin):
            return
        try:
            async with asyncio.timeout(seconds):
                await self._dials.begin(origin)
        except TimeoutError:
            raise ConnectionTimeoutError("those before it were not made in time") from None

    def _check(self, connection: Connection) -> None:
        transport, protocol = connection.transport, connection.protocol
        if transport is None or protocol is None:
            raise ServerDisconnectedError
        self._vet_peer(transport)
        connection.add_callback(partial(_end_exchange, transport))
        if self._guard.has_open_more_than(self._sockets_max):
            protocol.force_close()  # Idle connections count too: do not keep one more.

    def _vet_peer(self, transport: asyncio.Transport) -> None:
        peer = transport.get_extra_info("peername")
        if peer is None:  # It hung up while we connected.
            raise ServerDisconnectedError
        self._guard.vet(peer[0])


def _end_exchange(transport: asyncio.Transport) -> None:
    """Called when aiohttp is done with a connection, before it keeps or closes it."""
    if transport.get_write_buffer_size():
        transport.abort()
    asyncio.get_running_loop().call_soon(_hang_up_if_closing, transport)


def _hang_up_if_closing(transport: asyncio.Transport) -> None:
    # A polite end would wait: for a receiver to read what is left, or for its goodbye in TLS.
    if transport.is_closing():
        transport.abort()


def _addresses(host: str, port: int) -> list[str]:
    # Bytes, because for a str Python first runs its own IDNA encoder, which can fail.
    infos = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


def _resolved(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )

"""A DNS server on loopback that answers as an attacker would, and a resolver that asks it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.asyncresolver
import dns.exception
import dns.resolver
from dnslib import AAAA, QTYPE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer

Lookup = tuple[str, ...]


class Flipping(BaseResolver):  # type: ignore[misc]  # dnslib has no types.
    """Each question about IPv4 gets the next of these answers, with a time to live of none."""

    def __init__(self, lookups: list[Lookup]) -> None:
        self.asked = 0
        self._lookups = lookups
        self._lock = threading.Lock()
        self._now: Lookup = ()

    def resolve(self, request: DNSRecord, _: DNSHandler) -> DNSRecord:
        answer = request.reply()
        kind = QTYPE[request.q.qtype]
        with self._lock:
            if kind == "A":
                self._now = self._lookups[self.asked % len(self._lookups)]
                self.asked += 1
            for address in self._now:
                if (":" in address) == (kind == "AAAA"):
                    data = AAAA(address) if ":" in address else A(address)
                    answer.add_answer(RR(request.q.qname, request.q.qtype, ttl=0, rdata=data))
        return answer


@contextmanager
def dns_server(lookups: list[Lookup]) -> Iterator[tuple[Flipping, int]]:
    answers = Flipping(lookups)
    server = DNSServer(answers, address="127.0.0.1", port=0, logger=DNSLogger(logf=lambda _: None))
    server.start_thread()
    try:
        yield answers, server.server.server_address[1]
    finally:
        server.server.shutdown()
        server.server.server_close()
        server.thread.join()


class DnsResolver:
    """Asks one server over UDP, for IPv4 and then for IPv6, and keeps no answer."""

    def __init__(self, port: int) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = ["127.0.0.1"]
        self._resolver.port = port
        self._resolver.cache = None

    async def __call__(self, host: str, _: int) -> list[str]:
        return [*await self._ask(host, "A"), *await self._ask(host, "AAAA")]

    async def _ask(self, host: str, kind: str) -> list[str]:
        try:
            answer = await self._resolver.resolve(host, kind, raise_on_no_answer=False)
        except dns.exception.DNSException as error:
            raise OSError(str(error)) from error
        return [record.to_text() for record in answer.rrset or ()]

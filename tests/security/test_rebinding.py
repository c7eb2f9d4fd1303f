"""A name that is now here and now there: 1,000 flips of a real DNS server, no bad connection."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from ipaddress import ip_network
from random import Random

import pytest

from domain.delivery import OutcomeClass
from domain.url_policy import Network, UrlPolicy
from runtime.http import ClientLimits, WebhookClient
from tests.figures import Figure
from tests.runtime.clients import post, tls_client, webhook_client
from tests.runtime.receivers import OK, http, once, receiving, server_tls
from tests.security.dns import DnsResolver, Lookup, dns_server

NAME = "rebind.example.com"
PUBLIC = "127.0.0.1"  # Stands in for a public address: the only one that the policy allows.
THIS_ADDRESS = ip_network(f"{PUBLIC}/32")
INNER = ("127.0.0.2", "127.0.0.3", "::1")  # Each has a listener, which must stay unheard of.
LOOKUPS: list[Lookup] = [
    (PUBLIC,),
    ("127.0.0.2",),
    (PUBLIC, "127.0.0.3"),
    ("127.0.0.3", PUBLIC),
    ("::1",),
    (PUBLIC, "::1"),
    ("10.0.0.5", "169.254.169.254"),
    ("0.0.0.0",),
    ("::ffff:7f00:1",),
]
HANGS_UP = once(http(200, "Connection: close"))
FLIPS = 1_000


@pytest.mark.parametrize("flips", [180, pytest.param(FLIPS, marks=pytest.mark.security)])
async def test_no_flip_leads_to_an_address_that_was_not_vetted(flips: int, figure: Figure) -> None:
    Random(1).shuffle(lookups := LOOKUPS * 3)
    async with AsyncExitStack() as stack:
        good = await stack.enter_async_context(receiving(HANGS_UP, host=PUBLIC))
        inner = [
            await stack.enter_async_context(receiving(HANGS_UP, host=host, port=good.port))
            for host in INNER
        ]
        answers, dns_port = stack.enter_context(dns_server(lookups))
        client = await stack.enter_async_context(flipping_client(good.port, dns_port))
        outcomes = []
        while answers.asked < flips:
            url = f"http://{NAME}:{good.port}/"
            outcomes += await asyncio.gather(*[post(client, url) for _ in range(4)])
        dialled = client.dialled

    counts = Counter(outcome.outcome for outcome in outcomes)
    figure(f"{answers.asked} flips, {dialled} sockets dialled, {described(counts)}")
    # Between its two questions the name may have flipped to one that has no address at all.
    assert set(counts) <= {*OutcomeClass} - {OutcomeClass.UNEXPECTED, OutcomeClass.TIMEOUT}
    assert counts[OutcomeClass.ANSWERED] > flips / 20
    assert counts[OutcomeClass.REFUSED_ADDRESS] > flips / 2
    assert [receiver.connections for receiver in inner] == [0, 0, 0]
    assert good.connections == dialled == counts[OutcomeClass.ANSWERED]
    assert answers.asked >= flips


async def test_without_the_guards_no_the_name_would_have_led_there() -> None:
    with dns_server([(PUBLIC,), ("127.0.0.2",)]) as (_, dns_port):
        async with receiving(HANGS_UP, host="127.0.0.2") as inner:
            anywhere = ip_network("127.0.0.0/8")
            async with flipping_client(inner.port, dns_port, anywhere) as client:
                for _ in range(2):
                    await post(client, f"http://{NAME}:{inner.port}/")

    assert inner.connections == 1


async def test_a_rebound_name_needs_its_own_certificate() -> None:
    names: list[str | None] = []
    with dns_server([(PUBLIC,)]) as (_, dns_port):
        tls = server_tls(names, "other.example.com")
        async with (
            receiving(once(OK), tls=tls) as receiver,
            tls_client(receiver.port, resolver=DnsResolver(dns_port)) as client,
        ):
            url = f"https://{NAME}:{receiver.port}/"
            outcomes = [await post(client, url) for _ in range(20)]

    assert {outcome.outcome for outcome in outcomes} == {OutcomeClass.TLS}
    assert (set(names), receiver.heads) == ({NAME}, [])


def described(counts: Counter[OutcomeClass]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in counts.most_common())


def flipping_client(port: int, dns_port: int, allowed: Network = THIS_ADDRESS) -> WebhookClient:
    policy = UrlPolicy(allow_http=True, ports=frozenset({port}), allow_networks=(allowed,))
    limits = ClientLimits(dns_ttl=timedelta())  # Each attempt asks anew.
    return webhook_client(policy, resolver=DnsResolver(dns_port), limits=limits)

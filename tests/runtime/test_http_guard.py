"""Where the webhook client does not go: not one socket is opened to an address not vetted."""

import asyncio
import socket
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from domain.delivery import OutcomeClass
from domain.url_policy import UrlPolicy, UrlRefused
from runtime.address_guard import AddressGuard, SystemResolver
from runtime.http import ClientLimits
from tests.bad_urls import CorpusLine, bad_urls, corpus
from tests.runtime.clients import LOOPBACK, PUBLIC, StubResolver, post, webhook_client
from tests.runtime.receivers import OK, always, http, once, receiving, silence

PUBLIC_ADDRESS = "93.184.216.34"
THIS_HOST = ip_network("127.0.0.1/32")


async def test_no_bad_url_opens_a_socket_or_asks_a_resolver() -> None:
    resolver = StubResolver([PUBLIC_ADDRESS])
    async with webhook_client(PUBLIC, resolver=resolver) as client:
        for line in bad_urls():
            outcome = await post(client, line.url)
            assert outcome.outcome is OutcomeClass.REFUSED_ADDRESS, line
            assert f"({line.reason})" in str(outcome.error)

    assert (client.dialled, resolver.asked) == (0, [])


@pytest.mark.parametrize("line", corpus("DNS:"), ids=lambda line: line.url)
async def test_a_name_that_resolves_badly_opens_no_socket(line: CorpusLine) -> None:
    lookups = [list(lookup) for lookup in line.lookups]
    bad_lookups = [lookup for lookup in lookups if lookup != [PUBLIC_ADDRESS]]
    resolver = hangs if lookups == [["TIMEOUT"]] else StubResolver(*bad_lookups)
    async with webhook_client(PUBLIC, resolver=resolver) as client:
        outcome = await post(client, line.url)

    assert client.dialled == 0
    if line.reason == "dns":
        assert outcome.outcome is OutcomeClass.DNS
    else:
        assert outcome.outcome is OutcomeClass.REFUSED_ADDRESS
        assert f"({line.reason})" in str(outcome.error)


@pytest.mark.parametrize("line", corpus("DNS:"), ids=lambda line: line.url)
async def test_no_error_tells_what_a_name_resolved_to(line: CorpusLine) -> None:
    answers = [answer for lookup in line.lookups for answer in lookup]
    async with webhook_client(PUBLIC, resolver=StubResolver(answers)) as client:
        outcome = await post(client, line.url)

    said = str(outcome.error).replace(line.url.split("/")[2], "")
    assert not any(answer in said for answer in answers)


@pytest.mark.parametrize("line", corpus("GOOD:"), ids=lambda line: line.url)
async def test_a_good_url_is_dialled(line: CorpusLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.address_guard.socket.socket", Elsewhere)
    resolver = StubResolver([answer for lookup in line.lookups for answer in lookup])
    async with webhook_client(PUBLIC, resolver=resolver) as client:
        outcome = await post(client, line.url)

    assert outcome.outcome is OutcomeClass.CONNECT
    assert client.dialled >= 1


async def test_a_name_that_is_rebound_is_never_followed_to_the_new_address() -> None:
    async with receiving(once(http(200, "Connection: close"))) as receiver:
        port = receiver.port
        policy = UrlPolicy(allow_http=True, ports=frozenset({port}), allow_networks=(THIS_HOST,))
        resolver = StubResolver(*[["127.0.0.1"], ["10.0.0.5"], ["127.0.0.1", "127.0.0.2"]] * 30)
        async with webhook_client(policy, resolver=resolver) as client:
            url = f"http://rebind.example.com:{port}/"
            outcomes = [await post(client, url) for _ in range(90)]

    assert [outcome.succeeded for outcome in outcomes] == [True, False, False] * 30
    assert client.dialled == len(receiver.heads) == 30


async def test_a_kept_answer_of_the_resolver_was_vetted_too() -> None:
    async with receiving(once(http(200, "Connection: close"))) as receiver:
        policy = UrlPolicy(
            allow_http=True, ports=frozenset({receiver.port}), allow_networks=(THIS_HOST,)
        )
        resolver = StubResolver(["127.0.0.1"], ["127.0.0.2"])
        async with webhook_client(policy, resolver=resolver, limits=ClientLimits()) as client:
            url = f"http://rebind.example.com:{receiver.port}/"
            outcomes = [await post(client, url) for _ in range(20)]

    assert all(outcome.succeeded for outcome in outcomes)
    assert len(resolver.asked) == 1


async def test_what_the_kernel_says_is_vetted_before_a_byte_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.address_guard.socket.socket", Elsewhere)
    async with receiving(always(OK), host="127.0.0.2") as receiver:
        monkeypatch.setattr(Elsewhere, "address", ("127.0.0.2", receiver.port))
        policy = UrlPolicy(allow_http=True, allow_networks=(THIS_HOST,))
        async with webhook_client(policy) as client:
            outcome = await post(client, f"http://127.0.0.1:{receiver.port}/")
        await asyncio.sleep(0.02)

    assert outcome.outcome is OutcomeClass.REFUSED_ADDRESS
    assert (receiver.connections, receiver.heads) == (1, [])


def test_no_socket_is_made_for_an_address_that_is_not_allowed() -> None:
    guard = AddressGuard(PUBLIC, StubResolver([]), timedelta(seconds=1))
    address_info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("10.0.0.1", 80))
    for _ in range(2):  # A verdict is remembered, a refusal is not.
        with pytest.raises(UrlRefused):
            guard.make_socket(address_info)
    assert guard.dialled == 0


async def test_every_answer_is_vetted_but_few_are_dialled() -> None:
    answers = [f"8.8.{third}.{fourth}" for third in range(4) for fourth in range(250)]
    guard = AddressGuard(PUBLIC, StubResolver(answers, [*answers, "10.0.0.1"]), timedelta(1))

    assert len(await guard.resolve("many.example.com", 443)) == 4
    with pytest.raises(UrlRefused):
        await guard.resolve("many.example.com", 443)


@pytest.mark.parametrize(
    "failure",
    [socket.gaierror(socket.EAI_NONAME, "unknown"), OSError("down"), UnicodeError("label"), []],
)
async def test_a_name_that_does_not_resolve_is_a_dns_failure(failure: Any) -> None:
    async with webhook_client(PUBLIC, resolver=StubResolver(failure)) as client:
        outcome = await post(client, "https://nowhere.example.com/")

    assert outcome.outcome is OutcomeClass.DNS
    assert client.dialled == 0


async def test_many_waiting_for_one_name_that_fails_all_hear_of_it() -> None:
    resolver = StubResolver(["10.0.0.1"])
    async with webhook_client(PUBLIC, resolver=resolver, limits=ClientLimits()) as client:
        url = "https://hooks.example.com/"
        outcomes = await asyncio.gather(*[post(client, url) for _ in range(20)])

    assert {outcome.outcome for outcome in outcomes} == {OutcomeClass.REFUSED_ADDRESS}


async def test_the_systems_resolver_answers_and_fails_as_it_should() -> None:
    resolver = SystemResolver()
    try:
        assert "127.0.0.1" in await resolver("localhost", 80)
        with pytest.raises(socket.gaierror):
            await resolver(f"{'a' * 64}.invalid", 80)
    finally:
        resolver.close()


async def test_localhost_is_loopback_without_asking_where_it_is_allowed() -> None:
    resolver = StubResolver(["10.0.0.1"])
    async with receiving(always(OK)) as receiver:
        url = f"http://localhost:{receiver.port}/"
        async with webhook_client(LOOPBACK, resolver=resolver) as client:
            allowed = await post(client, url)
        async with webhook_client(PUBLIC, resolver=resolver) as client:
            refused = await post(client, url)

    assert allowed.succeeded
    assert refused.outcome is OutcomeClass.REFUSED_ADDRESS
    assert resolver.asked == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxies_of_the_environment_are_ignored(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving(always(OK)) as receiver, receiving(always(http(418))) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        async with webhook_client() as client:
            outcome = await post(client, receiver.url)

    assert (outcome.status_code, proxy.connections) == (200, 0)


async def test_a_forward_proxy_is_the_only_place_dialled() -> None:
    resolver = StubResolver(["10.0.0.1"])
    async with (
        receiving(always(OK)) as proxy,
        webhook_client(PUBLIC, proxy=proxy.url, resolver=resolver) as client,
    ):
        plain = await post(client, "http://hooks.example.com/a")
        literal = await post(client, "http://10.0.0.1/")

    assert plain.succeeded
    assert proxy.lines(0)[0] == "POST http://hooks.example.com/a HTTP/1.1"
    assert literal.outcome is OutcomeClass.REFUSED_ADDRESS
    assert (client.dialled, resolver.asked) == (1, [])


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (407, OutcomeClass.PROXY),
        (403, OutcomeClass.PROXY),
        (500, OutcomeClass.PROXY),
        (502, OutcomeClass.CONNECT),
        (503, OutcomeClass.CONNECT),
        (504, OutcomeClass.CONNECT),
    ],
)
async def test_a_proxys_no_is_not_the_receivers_fault(status: int, fault: OutcomeClass) -> None:
    async with (
        receiving(always(http(status))) as proxy,
        webhook_client(PUBLIC, proxy=proxy.url) as client,
    ):
        outcome = await post(client, "https://hooks.example.com/")

    assert proxy.lines()[0] == "CONNECT hooks.example.com:443 HTTP/1.1"
    assert (outcome.outcome, outcome.status_code) == (fault, None)
    assert str(status) in str(outcome.error)


async def test_a_proxy_that_is_down_is_not_the_receivers_fault() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = f"http://user:s3cret@127.0.0.1:{unused.getsockname()[1]}"
        async with webhook_client(PUBLIC, proxy=proxy) as client:
            outcome = await post(client, "https://hooks.example.com/")

    assert outcome.outcome is OutcomeClass.PROXY
    assert "s3cret" not in str(outcome)


async def test_a_proxy_that_hangs_is_cut_at_the_deadline() -> None:
    async with receiving(silence) as proxy, webhook_client(PUBLIC, proxy=proxy.url) as client:
        outcome = await post(client, "https://hooks.example.com/", seconds=0.3)

    assert outcome.outcome is OutcomeClass.TIMEOUT


def test_a_proxy_is_spoken_to_in_plain_http() -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        webhook_client(PUBLIC, proxy="https://proxy.example.com:3128")


async def hangs(host: str, port: int) -> list[str]:
    await asyncio.sleep(60)
    raise AssertionError


class Elsewhere(socket.socket):
    """A socket that a hostile network leads to another address than the one dialled."""

    address = ("127.0.0.1", 1)  # Nobody listens there.

    def connect(self, _: Any) -> None:
        super().connect(self.address)

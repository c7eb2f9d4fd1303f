import asyncio
from contextlib import closing
from datetime import timedelta
from socket import socket

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.delivery import AttemptOutcome, OutcomeClass
from domain.headers import check_headers
from runtime.http import ClientLimits
from tests.bad_urls import corpus
from tests.runtime.clients import post, tls_client, webhook_client
from tests.runtime.receivers import OK, always, http, once, receiving, server_tls, silence

header_names = st.from_regex(r"x-[a-z0-9!#$%&'*+.^_`|~-]{1,20}", fullmatch=True)
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=127) | st.just("\t"))


async def test_the_receiver_gets_exactly_what_was_given() -> None:
    body = '{"name":"Müller"}'.encode()
    async with receiving(always(OK)) as receiver, webhook_client() as client:
        url = f"{receiver.url}a/../b//%7Ec?d=e&f=%20;g"
        await post(client, url, headers={"X-One": "1"}, body=body)

    assert receiver.bodies == [body]
    assert receiver.lines() == [
        "POST /a/../b//%7Ec?d=e&f=%20;g HTTP/1.1",
        f"Host: 127.0.0.1:{receiver.port}",
        "Accept-Encoding: identity",
        "X-One: 1",
        f"Content-Length: {len(body)}",
    ]


async def test_we_keep_what_the_receiver_answered() -> None:
    answer = http(503, "Retry-After: 120", "webhook-delivery: Abort", body=b"later")
    async with receiving(always(answer)) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url)

    assert outcome.outcome is OutcomeClass.ANSWERED
    assert (outcome.status_code, outcome.error) == (503, None)
    assert (outcome.retry_after, outcome.control) == (timedelta(seconds=120), "abort")
    assert ("Retry-After", "120") in outcome.response_headers
    assert outcome.response_body == b"later"
    assert 0 <= outcome.duration_ms < 2000


@pytest.mark.parametrize("status", [200, 204, 299, 304, 400, 404, 410, 500, 599, 999])
async def test_every_status_is_an_answer(status: int) -> None:
    body = b"" if status in (204, 304) else b"x"
    async with receiving(once(http(status, body=body))) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url)

    assert (outcome.outcome, outcome.status_code) == (OutcomeClass.ANSWERED, status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", [line.url for line in corpus("REDIR:")])
async def test_a_redirect_is_an_answer_and_is_never_followed(status: int, location: str) -> None:
    answer = http(status, f"Location: {location}")
    async with receiving(always(answer)) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url)

    assert outcome.status_code == status
    assert (client.dialled, len(receiver.heads)) == (1, 1)


async def test_switching_protocols_is_an_answer_and_ends_the_connection() -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    async with receiving(always(answer)) as receiver, webhook_client() as client:
        outcomes = [await post(client, receiver.url, seconds=0.5) for _ in range(2)]

    assert {outcome.succeeded for outcome in outcomes} == {False}
    assert client.dialled == 2


async def test_cookies_are_not_sent_back() -> None:
    answer = http(200, "Set-Cookie: session=1; Path=/")
    async with receiving(always(answer)) as receiver, webhook_client() as client:
        for _ in range(2):
            await post(client, receiver.url)

    assert not any("cookie" in line.lower() for line in receiver.lines())


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(header_names, header_values, min_size=10, max_size=20))
async def test_headers_that_pass_the_check_arrive_as_they_are(headers: dict[str, str]) -> None:
    good = {name: value for name, value in headers.items() if not check_headers({name: value})}
    async with receiving(always(OK)) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url, headers=good)

    assert outcome.succeeded
    ours, theirs = receiver.lines()[:3], receiver.lines()[3:-1]
    assert [line.split(":")[0] for line in ours[1:]] == ["Host", "Accept-Encoding"]
    assert theirs == [f"{name}: {value}" for name, value in good.items()]


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-a", "b\r\nX-Evil: 1"), ("x-a", "b\nX"), ("x-a", "b\x00"), ("x-a\r\nX-Evil", "1")],
)
async def test_a_header_that_would_split_the_request_is_not_sent(name: str, value: str) -> None:
    async with receiving(always(OK)) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url, headers={name: value}, seconds=0.3)

    assert not outcome.succeeded
    assert not receiver.heads


async def test_connections_are_used_again() -> None:
    async with receiving(always(OK)) as receiver, webhook_client() as client:
        for _ in range(10):
            assert (await post(client, receiver.url)).succeeded

    assert (client.dialled, receiver.connections) == (1, 1)


async def test_a_connection_that_the_receiver_closed_is_not_used_again() -> None:
    async with receiving(once(OK)) as receiver, webhook_client() as client:
        for _ in range(5):
            assert (await post(client, receiver.url)).succeeded
            await asyncio.sleep(0.01)

    assert client.dialled == 5


async def test_idle_connections_are_bounded() -> None:
    limits = ClientLimits(exchanges_max=5, dns_ttl=timedelta())
    async with (
        receiving(always(OK), host="0.0.0.0") as receiver,
        webhook_client(limits=limits) as client,
    ):
        for number in range(1, 31):  # As many origins, each of which would keep one open.
            await post(client, f"http://127.0.0.{number}:{receiver.port}/")
            assert client.open_sockets <= 6

    assert len(receiver.heads) == 30


async def test_name_and_certificate_stay_the_origins() -> None:
    names: list[str | None] = []
    tls = server_tls(names, "hooks.example.com")
    async with receiving(always(OK), tls=tls) as receiver, tls_client(receiver.port) as client:
        outcome = await post(client, f"https://hooks.example.com:{receiver.port}/")

    assert outcome.succeeded
    assert names == ["hooks.example.com"]
    assert f"Host: hooks.example.com:{receiver.port}" in receiver.lines()


async def test_a_certificate_for_another_name_is_refused() -> None:
    tls = server_tls([], "hooks.example.com")
    async with receiving(always(OK), tls=tls) as receiver, tls_client(receiver.port) as client:
        outcome = await post(client, f"https://wrong.example.com:{receiver.port}/")

    assert outcome.outcome is OutcomeClass.TLS
    assert "wrong.example.com" in str(outcome.error)
    assert not receiver.heads


async def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    stranger = trustme.CA()
    tls = server_tls([], "hooks.example.com", authority=stranger)
    async with receiving(always(OK), tls=tls) as receiver, tls_client(receiver.port) as client:
        outcome = await post(client, f"https://hooks.example.com:{receiver.port}/")

    assert (outcome.outcome, receiver.heads) == (OutcomeClass.TLS, [])


async def test_two_names_at_one_address_do_not_share_a_connection() -> None:
    names: list[str | None] = []
    tls = server_tls(names, "one.example.com", "two.example.com")
    async with receiving(always(OK), tls=tls) as receiver, tls_client(receiver.port) as client:
        for name in ("one", "two", "one"):
            await post(client, f"https://{name}.example.com:{receiver.port}/")

    assert names == ["one.example.com", "two.example.com"]


async def test_plain_http_on_a_tls_port_and_the_reverse_are_told_apart() -> None:
    async with receiving(always(OK)) as receiver, tls_client(receiver.port) as client:
        spoke_tls = await post(client, f"https://hooks.example.com:{receiver.port}/", seconds=0.5)
    tls = server_tls([], "hooks.example.com")
    async with receiving(always(OK), tls=tls) as receiver, webhook_client() as client:
        spoke_plain = await post(client, receiver.url)

    assert spoke_tls.outcome in {OutcomeClass.TLS, OutcomeClass.CONNECT}
    assert spoke_plain.outcome in {OutcomeClass.PROTOCOL, OutcomeClass.DISCONNECTED}


async def test_a_closed_port_refuses_the_connection() -> None:
    with closing(socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        async with webhook_client() as client:
            outcome = await post(client, f"http://127.0.0.1:{unused.getsockname()[1]}/")

    assert outcome == AttemptOutcome(
        OutcomeClass.CONNECT,
        error="no connection could be made: connection refused",
        duration_ms=outcome.duration_ms,
    )


async def test_a_connection_that_nobody_takes_ends_after_the_connect_deadline() -> None:
    with closing(socket()) as full, closing(socket()) as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting.connect(full.getsockname())
        async with webhook_client() as client:
            outcome = await post(client, f"http://127.0.0.1:{full.getsockname()[1]}/", seconds=5)

    assert outcome.outcome is OutcomeClass.CONNECT
    assert outcome.duration_ms < 1500


async def test_slow_receivers_do_not_hold_up_the_others() -> None:
    limits = ClientLimits(exchanges_max=50, exchanges_per_origin_max=10, dns_ttl=timedelta())
    async with (
        receiving(silence) as slow,
        receiving(always(OK)) as good,
        webhook_client(limits=limits) as client,
    ):
        hanging = [asyncio.create_task(post(client, slow.url, seconds=1)) for _ in range(100)]
        await asyncio.sleep(0.1)
        served = await asyncio.gather(*[post(client, good.url, seconds=0.5) for _ in range(100)])
        held = slow.connections
        stuck = await asyncio.gather(*hanging)

    assert all(outcome.succeeded for outcome in served)
    assert held == 10
    assert [outcome.outcome for outcome in stuck[:10]] == [OutcomeClass.TIMEOUT] * 10
    assert OutcomeClass.CONGESTED in {outcome.outcome for outcome in stuck[10:]}


async def test_a_cancelled_post_gives_back_its_slot() -> None:
    limits = ClientLimits(exchanges_max=1, dns_ttl=timedelta())
    async with (
        receiving(silence) as slow,
        receiving(always(OK)) as good,
        webhook_client(limits=limits) as client,
    ):
        hanging = asyncio.create_task(post(client, slow.url))
        await asyncio.sleep(0.05)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert (await post(client, good.url, seconds=0.5)).succeeded

"""Receivers that want to hurt us: each attempt ends in time, in little memory, as an outcome."""

import asyncio
import gzip
import json
import random
import socket
import struct
from collections.abc import Iterator

import psutil
import pytest

from domain.delivery import RESPONSE_BODY_MAX, OutcomeClass
from runtime.http import ClientLimits
from tests.runtime.clients import post, tls_client, webhook_client
from tests.runtime.receivers import (
    OK,
    Answer,
    Caller,
    always,
    http,
    once,
    receiving,
    server_tls,
    silence,
)

MIB = 1024 * 1024
DEADLINE_SECONDS = 0.4
BROKEN = {OutcomeClass.PROTOCOL, OutcomeClass.DISCONNECTED}
HEAD = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(200 * MIB), 9)


async def reset(caller: Caller) -> None:
    raw: socket.socket = caller.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.writer.transport.abort()


async def endless_body(caller: Caller) -> None:
    await caller.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    await caller.drip(b"10000\r\n" + bytes(65536) + b"\r\n", 0)


async def body_drip(caller: Caller) -> None:
    await caller.send(HEAD + b"Content-Length: 1000\r\n\r\n")
    await caller.drip(b"x", 0.05)


async def head_drip(caller: Caller) -> None:
    await caller.send(HEAD)
    await caller.drip(b"X: y\r\n", 0.05)


async def header_drip(caller: Caller) -> None:
    await caller.send(HEAD + b"X: ")
    await caller.drip(b"y", 0.05)


async def informing(caller: Caller) -> None:
    await caller.drip(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 0.01)


async def informing_without_pause(caller: Caller) -> None:
    await caller.drip(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100, 0)


async def endless_header(caller: Caller) -> None:
    await caller.send(HEAD + b"X: ")
    await caller.drip(bytes(65536).replace(b"\0", b"a"), 0)


async def endless_headers(caller: Caller) -> None:
    await caller.send(HEAD)
    await caller.drip(b"X: y\r\n" * 1000, 0)


async def endless_chunk_size(caller: Caller) -> None:
    await caller.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    await caller.drip(b"0" * 65536, 0)


async def endless_trailers(caller: Caller) -> None:
    await caller.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    await caller.drip(b"X: y\r\n" * 1000, 0)


LATE: dict[str, Answer] = {
    "silence": silence,
    "body drip": body_drip,
    "head drip": head_drip,
    "header drip": header_drip,
    "endless 103": informing,
    "endless 103 without pause": informing_without_pause,
    "endless chunk size": endless_chunk_size,
    "half a status line": always(b"HTTP/1.1 2"),
    "100 and nothing more": always(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "half a body": always(HEAD + b"Content-Length: 10\r\n\r\nhalf"),
}
BAD: dict[str, Answer] = {
    "hangs up": once(b""),
    "reset": reset,
    "not HTTP": once(b"220 mail.example.com ESMTP\r\n"),
    "HTTP/2": once(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80"),
    "TLS alert": once(b"\x15\x03\x01\x00\x02\x02\x28"),
    "header of 1 MB": once(HEAD + b"X: " + b"a" * 1_000_000 + b"\r\nContent-Length: 0\r\n\r\n"),
    "10,000 headers": once(HEAD + b"X: y\r\n" * 10_000 + b"Content-Length: 0\r\n\r\n"),
    "65 headers": once(HEAD + b"X: y\r\n" * 64 + b"Content-Length: 0\r\n\r\n"),
    "endless header": endless_header,
    "endless headers": endless_headers,
    "shorter than it says": once(HEAD + b"Content-Length: 10\r\n\r\nhalf"),
    "two lengths": once(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
    "negative length": once(HEAD + b"Content-Length: -1\r\n\r\n"),
    "endless length": once(HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"),
    "bad chunks": once(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "status of letters": once(b"HTTP/1.1 abc OK\r\n\r\n"),
    "status of 20 digits": once(b"HTTP/1.1 20000000000000000000 OK\r\n\r\n"),
}


@pytest.fixture(autouse=True)
def nothing_unexpected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No receiver may reach code that nobody thought of."""
    yield
    assert "unexpectedly" not in caplog.text


@pytest.mark.parametrize("name", LATE)
async def test_an_answer_that_does_not_end_is_cut_at_the_deadline(name: str) -> None:
    async with receiving(LATE[name]) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url, seconds=DEADLINE_SECONDS)

    assert outcome.outcome is OutcomeClass.TIMEOUT
    assert not outcome.succeeded
    assert DEADLINE_SECONDS <= outcome.duration_ms / 1000 < DEADLINE_SECONDS + 0.5


@pytest.mark.parametrize("name", BAD)
async def test_an_answer_that_is_not_http_is_a_failure_at_once(name: str) -> None:
    async with receiving(BAD[name]) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url)

    assert outcome.outcome in BROKEN
    assert outcome.error
    assert outcome.duration_ms < 1000


async def test_trailers_without_end_are_a_failure() -> None:
    async with receiving(endless_trailers) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url, seconds=DEADLINE_SECONDS)

    assert outcome.outcome in BROKEN | {OutcomeClass.TIMEOUT}


async def test_a_body_without_end_is_cut_at_16_kib() -> None:
    async with receiving(endless_body) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url)

    assert (outcome.status_code, len(outcome.response_body)) == (200, RESPONSE_BODY_MAX)
    assert outcome.duration_ms < 500


@pytest.mark.parametrize("size", [0, 1, RESPONSE_BODY_MAX - 1, RESPONSE_BODY_MAX, 100_000])
async def test_the_start_of_a_body_is_kept_as_it_came(size: int) -> None:
    body = random.Random(size).randbytes(size)
    async with receiving(always(http(200, body=body))) as receiver, webhook_client() as client:
        outcomes = [await post(client, receiver.url) for _ in range(2)]

    assert [outcome.response_body for outcome in outcomes] == [body[:RESPONSE_BODY_MAX]] * 2


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
async def test_a_compressed_body_is_never_inflated(encoding: str) -> None:
    answer = once(http(200, f"Content-Encoding: {encoding}", body=BOMB))
    async with receiving(answer) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url)

    assert outcome.response_body == BOMB[:RESPONSE_BODY_MAX]


async def test_fifty_bombs_at_once_need_little_memory_and_hold_up_nobody() -> None:
    bomb = once(http(200, "Content-Encoding: gzip", body=BOMB))
    process = psutil.Process()
    async with (
        receiving(bomb) as hostile,
        receiving(endless_body) as endless,
        receiving(always(OK)) as good,
        webhook_client(limits=ClientLimits()) as client,  # Receivers and client share a process.
    ):
        before = process.memory_info().rss
        hostile_urls = [hostile.url, endless.url] * 25
        outcomes = await asyncio.gather(
            *[post(client, url, seconds=15) for url in hostile_urls + [good.url] * 100]
        )
        growth = process.memory_info().rss - before

    assert [outcome.reason for outcome in outcomes if not outcome.succeeded] == []
    assert growth < 60 * MIB  # Both sides of the sockets are in this process.


async def test_an_answer_longer_than_it_says_does_no_harm() -> None:
    answer = always(OK + b"HTTP/1.1 500 Not yours\r\nContent-Length: 0\r\n\r\n")
    async with receiving(answer) as receiver, webhook_client() as client:
        outcomes = [await post(client, receiver.url) for _ in range(3)]

    assert {outcome.status_code for outcome in outcomes} == {200}


async def early(caller: Caller) -> None:
    await caller.send(OK)
    await silence(caller)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize(
    ("scheme", "answer", "status_code"),
    [("http", early, 200), ("http", silence, None), ("https", silence, None)],
)
async def test_a_receiver_that_reads_nothing_leaves_no_socket_behind(
    scheme: str, answer: Answer, status_code: int | None
) -> None:
    tls = server_tls([], "hooks.example.com") if scheme == "https" else None
    async with (
        receiving(answer, tls=tls, reads_bodies=False) as receiver,
        tls_client(receiver.port) as client,
    ):
        url = f"{scheme}://hooks.example.com:{receiver.port}/"
        outcome = await post(client, url, body=bytes(32 * MIB), seconds=0.5)
        await asyncio.sleep(0.02)

        assert outcome.status_code == status_code
        assert client.open_sockets == 0


async def test_bad_header_text_is_kept_in_a_form_that_can_be_stored() -> None:
    answer = once(http(200, "X-Latin: caf\xe9", "X-Tab: a\tb"))
    async with receiving(answer) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url)

    assert dict(outcome.response_headers)["X-Latin"] == "caf\ufffd"
    json.dumps(outcome.response_headers).encode()
    assert all(text.isprintable() for pair in outcome.response_headers for text in pair)


async def test_an_unreadable_control_or_retry_after_is_no_control() -> None:
    answer = once(http(200, "webhook-delivery: explode", "Retry-After: soon"))
    async with receiving(answer) as receiver, webhook_client() as client:
        outcome = await post(client, receiver.url)

    assert (outcome.control, outcome.retry_after) == (None, None)


@pytest.mark.parametrize("seed", range(8))
async def test_no_bytes_whatever_are_unexpected(seed: int) -> None:
    random_bytes = random.Random(seed)

    async def noise(caller: Caller) -> None:
        await caller.send(mutated(random_bytes))
        caller.writer.close()

    async with receiving(noise) as receiver, webhook_client() as client:
        for _ in range(50):
            outcome = await post(client, receiver.url, seconds=0.2)
            assert outcome.outcome is not OutcomeClass.UNEXPECTED


def mutated(chance: random.Random) -> bytes:
    """A good answer with up to eight bytes changed, dropped or doubled."""
    raw = bytearray(
        chance.choice([OK, HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"])
    )
    for _ in range(chance.randrange(1, 9)):
        place = chance.randrange(len(raw))
        raw[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    return bytes(raw)

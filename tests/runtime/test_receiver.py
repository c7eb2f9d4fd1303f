"""The receiver verifies like a stranger, answers as told, and keeps what it got."""

import asyncio
import hashlib
import hmac
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from cli.receiver import BODY_BYTES_MAX, Answers, Received, Receiver, find_problem
from tests.runtime.receivers import Caller, http, receiving
from tests.runtime.stand_ins import ROOT, eventually

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
OTHER_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps(
    {
        "event_id": "evt_1",
        "event_type": "transfer.completed",
        "sequence": 7,
        "workflow_id": "transfer/1",
        "data": {"amount": "50.00"},
    }
).encode()


def signed(
    body: bytes = BODY, *, secret: str = SECRET, event_id: str = "evt_1", at: datetime | None = None
) -> dict[str, str]:
    """The headers of a delivery, with both signatures."""
    at = at or datetime.now(UTC)
    stamp = str(int(at.timestamp()))
    product = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": Webhook(secret).sign(event_id, at, body.decode()),
        "x-finaegis-signature": f"sha256={product}",
        "x-finaegis-timestamp": stamp,
        "x-webhook-delivery": "dlv_1",
    }


def test_a_signed_post_is_trusted() -> None:
    assert find_problem(SECRET, signed(), BODY) is None


def test_one_good_signature_among_several_is_enough() -> None:
    headers = signed()
    headers["webhook-signature"] = f"v1,AAAA v1a,BBBB {headers['webhook-signature']}"
    assert find_problem(SECRET, headers, BODY) is None


def test_the_old_secret_is_good_while_a_rotation_overlaps() -> None:
    new, old = signed(secret=OTHER_SECRET), signed()
    both = f"{new['webhook-signature']} {old['webhook-signature']}"

    for secret in (SECRET, OTHER_SECRET):
        assert find_problem(secret, new | {"webhook-signature": both}, BODY) is None
    forged = new | {"webhook-signature": both, "x-finaegis-signature": "sha256=00"}
    assert find_problem(OTHER_SECRET, forged, BODY) is not None


def test_the_bare_signature_over_the_body_is_known_too() -> None:
    bare = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert find_problem(SECRET, signed() | {"x-finaegis-signature": bare}, BODY) is None


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, BODY),
        (signed(), BODY + b" "),
        (signed(), b"\xff"),
        (signed(secret=OTHER_SECRET), BODY),
        (signed(at=datetime.now(UTC) - timedelta(minutes=6)), BODY),
        (signed() | {"webhook-id": "evt_2"}, BODY),
        (signed() | {"webhook-signature": "nonsense"}, BODY),
        (signed() | {"webhook-signature": "v1,?"}, BODY),
        (signed() | {"x-finaegis-signature": "sha256=00"}, BODY),
        (signed() | {"x-finaegis-signature": "é"}, BODY),
        (signed() | {"x-finaegis-timestamp": "1"}, BODY),
    ],
)
def test_anything_else_is_not_trusted(headers: dict[str, str], body: bytes) -> None:
    assert find_problem(SECRET, headers, body) is not None


class Got:
    """A running receiver and what it got."""

    def __init__(self, url: str, posts: list[Received]) -> None:
        self.url = url
        self.posts = posts

    async def post(self, headers: dict[str, str] | None = None, body: bytes = BODY) -> int:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{self.url}/hook", content=body, headers=headers or {})
            return answer.status_code


Listen = Callable[..., Awaitable[Got]]


@pytest_asyncio.fixture
async def listen() -> AsyncIterator[Listen]:
    receivers: list[Receiver] = []

    async def start(secret: str | None = SECRET, **answers: Any) -> Got:
        posts: list[Received] = []
        receiver = Receiver(posts.append, answers=Answers(**answers), secret=lambda: secret)
        receivers.append(receiver)
        return Got(await receiver.start("127.0.0.1", 0), posts)

    yield start
    for receiver in receivers:
        await receiver.stop()


async def test_what_was_posted_is_kept_whole(listen: Listen) -> None:
    got = await listen()
    assert await got.post(signed()) == 200

    (received,) = got.posts
    assert received.event_id == "evt_1"
    assert received.event_type == "transfer.completed"
    assert received.sequence == 7
    assert received.workflow_id == "transfer/1"
    assert received.data == {"amount": "50.00"}
    assert received.delivery_id == "dlv_1"
    assert received.body_sha256 == hashlib.sha256(BODY).hexdigest()
    assert received.headers["webhook-id"] == "evt_1"
    assert received.verified is True
    assert received.status == 200


async def test_a_post_that_cannot_be_trusted_is_answered_401(listen: Listen) -> None:
    got = await listen()
    assert await got.post(signed(secret=OTHER_SECRET)) == 401
    assert got.posts[0].verified is False
    assert got.posts[0].problem is not None


async def test_without_a_secret_nothing_is_verified(listen: Listen) -> None:
    got = await listen(secret=None)
    assert await got.post(body=b"not json") == 200
    assert got.posts[0].verified is None
    assert got.posts[0].event_type is None


async def test_the_first_posts_of_each_event_fail_as_told(listen: Listen) -> None:
    got = await listen(fail_first=2, status=204)
    first = [await got.post(signed()) for _ in range(3)]
    other = [await got.post(signed(event_id="evt_2")) for _ in range(3)]
    assert first == other == [500, 500, 204]
    assert [received.attempt for received in got.posts] == [1, 2, 3, 1, 2, 3]


async def test_a_post_is_passed_on_and_the_answer_passed_back(listen: Listen) -> None:
    app = await listen(status=418)
    relay = await listen(forward_url=f"{app.url}/hook")
    assert await relay.post(signed()) == 418
    assert app.posts[0].verified is True, "the body and the signatures pass unchanged"


async def test_what_the_app_asks_of_the_sender_is_passed_back(listen: Listen) -> None:
    async def busy(caller: Caller) -> None:
        await caller.send(
            http(503, "Retry-After: 120", "webhook-delivery: abort", "Connection: keep-alive")
        )

    async with receiving(busy) as app, httpx.AsyncClient(trust_env=False) as client:
        relay = await listen(forward_url=app.url)
        answer = await client.post(relay.url, content=BODY, headers=signed())

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "120"
    assert answer.headers["webhook-delivery"] == "abort"


async def test_an_app_that_does_not_answer_is_a_bad_gateway(listen: Listen) -> None:
    relay = await listen(forward_url="http://127.0.0.1:1/hook")
    assert await relay.post(signed()) == 502


async def test_an_oversized_post_is_refused(listen: Listen) -> None:
    got = await listen()
    assert await got.post(body=b"x" * (BODY_BYTES_MAX + 1)) == 413
    assert got.posts == []


async def test_a_visitor_is_told_what_this_is(listen: Listen) -> None:
    got = await listen()
    async with httpx.AsyncClient(trust_env=False) as client:
        assert "sagapost listen" in (await client.get(got.url)).text


def test_the_command_listens_verifies_prints_and_logs(tmp_path: Path) -> None:
    secret_file, log = tmp_path / "secret", tmp_path / "log"
    options = ["--port", "0", "--secret-file", str(secret_file), "--log", str(log), "--json"]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "cli.main", "listen", *options],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["listening"]
        asyncio.run(Got(url, []).post(signed()))
        secret_file.write_text(SECRET + "\n")
        asyncio.run(Got(url, []).post(signed()))
        process.send_signal(signal.SIGTERM)
        printed = process.stdout.read().splitlines()
        assert process.wait(10) == 0

    eventually(lambda: len(log.read_text().splitlines()) == 2)
    assert printed == log.read_text().splitlines()
    assert [json.loads(line)["verified"] for line in printed] == [None, True]


def test_what_strangers_send_cannot_drive_the_terminal() -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "cli.main", "listen", "--port", "0"],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        asyncio.run(Got(url, []).post(body=b'{"event_type": "\\u001b[2J"}'))
        process.send_signal(signal.SIGINT)
        printed = process.stdout.read()
        assert process.wait(10) == 0
    assert "\x1b" not in printed
    assert "→ 200" in printed


def test_a_secret_that_is_none_is_refused() -> None:
    command = [sys.executable, "-P", "-m", "cli.main", "listen", "--port", "0", "--secret", "a"]
    environment = {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=20, check=False
    )
    assert ended.returncode == 2
    assert "--secret is not a webhook secret" in ended.stderr

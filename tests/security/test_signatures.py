"""What we sign, verified by libraries of others, in Python and in JavaScript."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import standardwebhooks
import svix.webhooks

from domain.signing import Secret, SigningKey, new_key_pair, new_secret, signature_headers
from tests.figures import Figure

PAYLOADS = 1_000
FEW = 100
MIB = 1 << 20
NPM_PACKAGE = "standardwebhooks@1.1.1"
NPM_S = 100
PYTHON_ERRORS = (standardwebhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError)
NODE = """
const { Webhook } = require('standardwebhooks');
// A SyntaxError comes after the signature was verified: the body is no JSON.
const lines = require('readline').createInterface({ input: process.stdin });
lines.on('line', line => {
  const { secret, headers, body } = JSON.parse(line);
  let verdict = 'verified';
  try { new Webhook(secret).verify(Buffer.from(body, 'base64').toString('utf8'), headers); }
  catch (error) { if (!(error instanceof SyntaxError)) verdict = error.constructor.name; }
  console.log(verdict);
});
"""


@dataclass(frozen=True)
class Sent:
    """One attempt as a receiver gets it, and the secret that it has."""

    secret: str
    headers: dict[str, str]
    body: bytes


def test_a_thousand_payloads_are_verified_by_both_python_libraries(figure: Figure) -> None:
    sizes = [len(sent.body) for sent in attempts(PAYLOADS) if verify_in_python(sent)]

    assert len(sizes) == PAYLOADS
    figure(f"{len(sizes)} payloads of {min(sizes)} to {max(sizes)} bytes, verified by 2 libraries")


def test_whatever_is_changed_others_refuse() -> None:
    chance = Random(2)
    for sent in attempts(FEW):
        for changed in changes(sent, chance):
            for library in (standardwebhooks.Webhook, svix.webhooks.Webhook):
                with pytest.raises(PYTHON_ERRORS):
                    library(changed.secret).verify(changed.body, changed.headers)


@pytest.mark.parametrize("age", [timedelta(minutes=6), timedelta(minutes=-6)])
def test_an_old_or_a_future_attempt_is_refused(age: timedelta) -> None:
    sent = attempt(Secret(new_secret().reveal()), b"{}", sent_at=datetime.now(UTC) - age)

    with pytest.raises(PYTHON_ERRORS):
        verify_in_python(sent)


@pytest.mark.security
def test_a_thousand_payloads_are_verified_by_the_npm_library(
    tmp_path: Path, figure: Figure
) -> None:
    sent = list(attempts(PAYLOADS))
    changed = [change for one in sent[:FEW] for change in changes(one, Random(3))]

    verdicts = verify_in_node(install(tmp_path), [*sent, *changed])

    assert set(verdicts[:PAYLOADS]) == {"verified"}
    assert set(verdicts[PAYLOADS:]) == {"WebhookVerificationError"}
    figure(f"{PAYLOADS} payloads verified and {len(changed)} changed ones refused by {NPM_PACKAGE}")


def attempts(number: int) -> Iterator[Sent]:
    """Bodies of all sorts, under one to nine secrets, of which the receiver has one, and a pair."""
    chance = Random(1)
    for index in range(number):
        body = BODIES[index % len(BODIES)](chance)
        secrets = [new_secret() for _ in range(chance.choice([1, 1, 2, 9]))]
        yield attempt(chance.choice(secrets), body, others=secrets)


def attempt(
    secret: Secret,
    body: bytes,
    *,
    others: list[Secret] | None = None,
    sent_at: datetime | None = None,
) -> Sent:
    sent_at = sent_at or datetime.now(UTC)
    keys = [SigningKey(one, sent_at) for one in others or [secret]]
    keys.append(SigningKey(new_key_pair(), sent_at - timedelta(hours=1)))
    headers = signature_headers(keys, event_id=f"evt_{id(body):x}", sent_at=sent_at, body=body)
    return Sent(secret.reveal(), headers, body)


def event(chance: Random) -> bytes:
    data: dict[str, object] = {
        "name": text(chance, 20),
        "amount": f"{chance.randrange(10**9)}.00",
        "nested": [None, {}],
    }
    return json.dumps({"event_id": "evt_1", "data": data}, ensure_ascii=False).encode()


def text(chance: Random, length: int) -> str:
    """Any characters but lone surrogates, which are no UTF-8."""
    codes = (
        chance.choice([chance.randrange(0xD800), chance.randrange(0xE000, 0x110000)])
        for _ in range(length)
    )
    return "".join(map(chr, codes))


BODIES: list[Callable[[Random], bytes]] = [
    event,
    event,
    lambda chance: text(chance, chance.randrange(200)).encode(),
    lambda _: b"",
    lambda _: b"\0",
    lambda _: '{"e":"\U0001f4b8 M\u00fcller \u202e\ufeff"}'.encode(),
    lambda chance: b'{"a":"' + bytes(chance.choices(range(32, 127), k=300)) + b'"}',
    lambda chance: json.dumps(text(chance, 100)).encode(),
    lambda chance: b'{"big":"' + b"x" * (MIB if chance.random() < 0.1 else 1_000) + b'"}',
    lambda _: b'{"a": 1}\r\n\r\n',
]


def changes(sent: Sent, chance: Random) -> Iterator[Sent]:
    """One bit of the body, another id, another time, no signature that fits."""
    plain = [place for place, byte in enumerate(sent.body) if byte < 128]
    if plain:
        body = bytearray(sent.body)
        body[chance.choice(plain)] ^= 1  # Still UTF-8: the libraries decode before they verify.
        yield Sent(sent.secret, sent.headers, bytes(body))
    timestamp = str(int(sent.headers["webhook-timestamp"]) + 1)
    for name, value in (
        ("webhook-id", "evt_other"),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", "v1," + base64.b64encode(bytes(32)).decode()),
    ):
        yield Sent(sent.secret, sent.headers | {name: value}, sent.body)
    yield Sent(new_secret().reveal(), sent.headers, sent.body)


def verify_in_python(sent: Sent) -> bool:
    """With both libraries. Where the body is no JSON, they verify it and then fail to read it."""
    for library in (standardwebhooks.Webhook, svix.webhooks.Webhook):
        with suppress(json.JSONDecodeError):
            library(sent.secret).verify(sent.body, sent.headers)
    return True


def install(folder: Path) -> Path:
    """The npm package, in a folder of the test's own; without npm or its index, skip."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed here")
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", NPM_PACKAGE]
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, timeout=NPM_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {NPM_PACKAGE} within {NPM_S} s")
    if ended.returncode:
        pytest.skip(f"npm cannot install {NPM_PACKAGE}: {ended.stderr.decode()[-300:]}")
    return folder


def verify_in_node(folder: Path, sent: list[Sent]) -> list[str]:
    lines = [json.dumps(vars(one) | {"body": base64.b64encode(one.body).decode()}) for one in sent]
    ended = subprocess.run(
        ["node", "-e", NODE],
        cwd=folder,
        input="\n".join(lines).encode(),
        capture_output=True,
        timeout=NPM_S,
        check=True,
    )
    return ended.stdout.decode().split()

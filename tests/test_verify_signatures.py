"""The helpers that we tell receivers to copy do verify what we sign, and nothing else."""

import importlib.util
import json
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from domain.catalogue import EVENT_TYPES
from domain.envelope import Envelope
from domain.signing import (
    Secret,
    SigningKey,
    new_key_pair,
    new_secret,
    public_key,
    signature_headers,
)

DOCS = Path(__file__).parent.parent / "docs"
PYTHON, NODE = DOCS / "receivers/verify_webhook.py", DOCS / "receivers/verify_webhook.mjs"
PAGE = DOCS / "verify-signatures.md"

Headers = Callable[[], dict[str, str]]
SECRET, OLD, OTHER = new_secret(), new_secret(), new_secret()
OWN = Secret("a secret of the owner's own".replace(" ", "-"))
PAIR = new_key_pair()
BODY = Envelope(
    "evt_1",
    "transfer.completed",
    datetime(2026, 1, 1, tzinfo=UTC),
    7,
    "transfer/1",
    EVENT_TYPES["transfer.completed"].example().model_copy(update={"reference": "Größe 10 €"}),
).to_bytes()


def signed(*secrets: Secret, late: timedelta = timedelta()) -> dict[str, str]:
    """The headers of a webhook of this moment, or of one so much earlier."""
    at = datetime.now(UTC) - late
    keys = [SigningKey(one, at - timedelta(days=age)) for age, one in enumerate(secrets)]
    return signature_headers(keys, event_id="evt_1", sent_at=at, body=BODY)


def but(**headers: str) -> Headers:
    """Well signed, but for these headers."""
    changed = {f"webhook-{name}": value for name, value in headers.items()}
    return lambda: signed(SECRET) | changed


MINUTE = timedelta(minutes=1)
# (what, key, its headers when it is sent, body, whether it is trusted)
CASES: list[tuple[str, str, Headers, bytes, bool]] = [
    ("signed", SECRET.reveal(), lambda: signed(SECRET), BODY, True),
    ("a secret of one's own", OWN.reveal(), lambda: signed(OWN), BODY, True),
    ("new of two", SECRET.reveal(), lambda: signed(SECRET, OLD), BODY, True),
    ("old of two", OLD.reveal(), lambda: signed(SECRET, OLD), BODY, True),
    ("beside a key pair", SECRET.reveal(), lambda: signed(SECRET, PAIR), BODY, True),
    ("another secret", OTHER.reveal(), lambda: signed(SECRET, OLD), BODY, False),
    ("changed body", SECRET.reveal(), lambda: signed(SECRET), BODY.replace(b"7", b"8", 1), False),
    ("another id", SECRET.reveal(), but(id="evt_2"), BODY, False),
    ("too old", SECRET.reveal(), lambda: signed(SECRET, late=6 * MINUTE), BODY, False),
    ("of the future", SECRET.reveal(), lambda: signed(SECRET, late=-6 * MINUTE), BODY, False),
    ("another stamp", SECRET.reveal(), but(timestamp="1"), BODY, False),
    ("no stamp", SECRET.reveal(), but(timestamp="now"), BODY, False),
    ("nonsense", SECRET.reveal(), but(signature="v1,% v2,x"), BODY, False),
    ("empty", SECRET.reveal(), but(signature=""), BODY, False),
    ("no headers", SECRET.reveal(), dict, BODY, False),
]
KEY_PAIRS: list[tuple[str, str, Headers, bytes, bool]] = [
    ("public key", public_key(PAIR), lambda: signed(SECRET, PAIR), BODY, True),
    ("another public key", public_key(new_key_pair()), lambda: signed(SECRET, PAIR), BODY, False),
    ("nonsense", public_key(PAIR), but(signature="v1a,AA"), BODY, False),
    ("no such signature", public_key(PAIR), lambda: signed(SECRET), BODY, False),
]

RUN_IN_NODE = """
import { verify, NotTrusted } from %s;
import { readFileSync } from "node:fs";
const outcomes = JSON.parse(readFileSync(0, "utf8")).map(([key, headers, body]) => {
  try {
    return verify(key, headers, Buffer.from(body, "base64"));
  } catch (error) {
    if (!(error instanceof NotTrusted)) throw error;
    return null;
  }
});
console.log(JSON.stringify(outcomes));
"""


@pytest.mark.parametrize(
    ("what", "key", "headers", "body", "trusted"), CASES, ids=[case[0] for case in CASES]
)
def test_the_python_helper_trusts_what_we_signed_and_nothing_else(
    what: str, key: str, headers: Headers, body: bytes, trusted: bool
) -> None:
    helper = load(PYTHON)

    if trusted:
        assert helper.verify(key, headers(), body) == json.loads(BODY), what
    else:
        with pytest.raises(helper.NotTrusted):
            helper.verify(key, headers(), body)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
def test_the_node_helper_trusts_what_we_signed_and_nothing_else() -> None:
    cases = CASES + KEY_PAIRS

    outcomes = run_in_node([(key, headers(), body) for _, key, headers, body, _ in cases])

    for (what, *_, trusted), outcome in zip(cases, outcomes, strict=True):
        assert outcome == (json.loads(BODY) if trusted else None), what


def test_header_names_may_be_in_any_case() -> None:
    headers = {name.title(): value for name, value in signed(SECRET).items()}

    assert load(PYTHON).verify(SECRET.reveal(), headers, BODY) == json.loads(BODY)


@pytest.mark.parametrize("helper", [PYTHON, NODE])
def test_the_page_shows_the_helpers_as_they_were_tested(helper: Path) -> None:
    language = {".py": "python", ".mjs": "js"}[helper.suffix]

    assert f"```{language}\n{helper.read_text()}```" in PAGE.read_text()


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_in_node(cases: list[tuple[str, dict[str, str], bytes]]) -> list[Any]:
    asked = [(key, headers, b64encode(body).decode()) for key, headers, body in cases]
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", RUN_IN_NODE % json.dumps(NODE.as_uri())],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    outcomes: list[Any] = json.loads(done.stdout)
    return outcomes

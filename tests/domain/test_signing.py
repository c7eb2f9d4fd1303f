import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from domain.signing import (
    BadSignature,
    InvalidSecret,
    Secret,
    SignatureScheme,
    SigningKey,
    accept_secret,
    live_keys,
    new_key_pair,
    new_secret,
    public_key,
    signature_headers,
    verify_body,
    verify_finaegis,
    verify_standard,
)

BODY = b'{"event_id":"evt_1","data":{"name":"M\xc3\xbcller","amount":"50.00"}}'
NOW = datetime.now(UTC).replace(microsecond=0)  # The libraries of others read the real clock.
SECRET = new_secret()
KEY = SigningKey(SECRET, NOW)


@pytest.fixture(autouse=True, scope="module")
def _begin_now() -> None:
    """In a long run of all tests this module is imported long before it runs."""
    global NOW, KEY  # noqa: PLW0603
    NOW = datetime.now(UTC).replace(microsecond=0)
    KEY = SigningKey(SECRET, NOW)


HOUR = timedelta(hours=1)

utf8_json = st.text(st.characters(exclude_categories=["Cs"])).map(
    lambda text: json.dumps(text, ensure_ascii=False)
)


def test_the_standard_library_of_receivers_verifies_us() -> None:
    standardwebhooks.Webhook(SECRET.reveal()).verify(BODY, signed())
    svix.webhooks.Webhook(SECRET.reveal()).verify(BODY, signed())


@given(utf8_json)
def test_whatever_the_body_they_verify_it(text: str) -> None:
    body = text.encode()
    standardwebhooks.Webhook(SECRET.reveal()).verify(body, signed(body=body))


def test_the_products_published_formulas_verify_us() -> None:
    headers, key = signed(), SECRET.reveal().encode()

    timestamped = f"{headers['X-FinAegis-Timestamp']}.{BODY.decode()}".encode()
    expected = "sha256=" + hmac.new(key, timestamped, hashlib.sha256).hexdigest()
    assert headers["X-FinAegis-Signature"] == expected

    over_body = hmac.new(key, BODY, hashlib.sha256).hexdigest()
    assert headers["X-Webhook-Signature"] == f"sha256={over_body}"
    assert signed(scheme=SignatureScheme.BODY_HEX)["X-FinAegis-Signature"] == over_body


def test_the_attempt_is_named_and_dated() -> None:
    headers = signed()
    assert headers["webhook-id"] == headers["X-FinAegis-Event-Id"] == "evt_1"
    assert headers["webhook-timestamp"] == headers["X-FinAegis-Timestamp"] == unix(NOW)


def test_a_key_pair_signs_beside_the_secret() -> None:
    private = new_key_pair()
    headers = signed(keys=[KEY, SigningKey(private, NOW + HOUR)])

    first, second = headers["webhook-signature"].split(" ")
    assert second.startswith("v1,")
    raw = base64.b64decode(public_key(private).removeprefix("whpk_"))
    signature = base64.b64decode(first.removeprefix("v1a,"))
    content = b"evt_1." + unix(NOW).encode() + b"." + BODY
    Ed25519PublicKey.from_public_bytes(raw).verify(signature, content)
    standardwebhooks.Webhook(SECRET.reveal()).verify(BODY, headers)
    verify_standard(Secret(public_key(private)), headers, BODY, now=NOW)


def test_both_secrets_verify_during_a_rotation_and_the_newest_comes_first() -> None:
    old = SigningKey(new_secret(), NOW - HOUR, expires_at=NOW + HOUR)
    headers = signed(keys=[old, KEY])

    for key in (old, KEY):
        standardwebhooks.Webhook(key.secret.reveal()).verify(BODY, headers)
        verify_standard(key.secret, headers, BODY, now=NOW)
    assert headers["webhook-signature"].split(" ")[0] == signed()["webhook-signature"]
    verify_finaegis(KEY.secret, headers, BODY, now=NOW)


def test_an_expired_secret_does_not_sign() -> None:
    expired = SigningKey(new_secret(), NOW - HOUR, expires_at=NOW)
    headers = signed(keys=[expired, KEY])

    assert headers["webhook-signature"] == signed()["webhook-signature"]
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(expired.secret.reveal()).verify(BODY, headers)


def test_live_keys_are_newest_first_and_at_most_ten() -> None:
    keys = [SigningKey(new_secret(), NOW - n * HOUR) for n in range(12)]
    assert live_keys(reversed(keys), NOW) == keys[:10]


@pytest.mark.parametrize(
    ("expires_in", "live"), [(None, True), (1, True), (0, False), (-1, False), (3600, True)]
)
def test_a_key_lives_until_it_expires(expires_in: int | None, live: bool) -> None:
    expires_at = None if expires_in is None else NOW + timedelta(seconds=expires_in)
    key = SigningKey(SECRET, NOW - HOUR, expires_at)
    assert live_keys([key], NOW) == ([key] if live else [])


@pytest.mark.parametrize("scheme", SignatureScheme)
def test_what_we_sign_we_verify(scheme: SignatureScheme) -> None:
    headers = {name.upper(): value for name, value in signed(scheme=scheme).items()}
    verify_standard(SECRET, headers, BODY, now=NOW)
    verify_finaegis(SECRET, headers, BODY, now=NOW)
    verify_body(SECRET, headers, BODY)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_one_changed_bit_is_refused(body: bytes, data: st.DataObject) -> None:
    changed = flip(body, data.draw(st.integers(0, len(body) * 8 - 1)))
    headers = signed(body=body)
    assert refusals(headers, changed) == 3
    assert refusals(signed(body=body, scheme=SignatureScheme.BODY_HEX), changed) == 3


@pytest.mark.parametrize("bit", range(5 * 8))
def test_one_changed_bit_of_the_id_is_refused(bit: int) -> None:
    headers = signed()
    changed = flip(b"evt_1", bit).decode("latin-1")
    with pytest.raises(BadSignature):
        verify_standard(SECRET, headers | {"webhook-id": changed}, BODY, now=NOW)


@pytest.mark.parametrize("header", ["webhook-timestamp", "X-FinAegis-Timestamp"])
def test_another_time_is_refused(header: str) -> None:
    headers = signed() | {header: str(int(unix(NOW)) + 1)}
    assert refusals(headers, BODY) == 1


@pytest.mark.parametrize("age", [timedelta(seconds=301), timedelta(seconds=-301)])
def test_what_is_not_new_is_refused(age: timedelta) -> None:
    for verify in (verify_standard, verify_finaegis):
        with pytest.raises(BadSignature, match="5 minutes"):
            verify(SECRET, signed(), BODY, now=NOW + age)
        verify(SECRET, signed(), BODY, now=NOW + age * 300 / 301)


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1.5", "\u0661", "9" * 400])
def test_an_unreadable_time_is_refused(timestamp: str) -> None:
    with pytest.raises(BadSignature, match="unix seconds"):
        verify_standard(SECRET, signed() | {"webhook-timestamp": timestamp}, BODY, now=NOW)


@pytest.mark.parametrize("signature", ["", "v1", "v1,", "v1,!", "v2,AAAA", "v1,\u00e9", "v1a,AAAA"])
def test_an_unreadable_signature_is_refused(signature: str) -> None:
    headers = signed() | {"webhook-signature": signature}
    for key in (SECRET, Secret(public_key(new_key_pair()))):
        with pytest.raises(BadSignature):
            verify_standard(key, headers, BODY, now=NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    headers = {key: value for key, value in signed().items() if key != name}
    with pytest.raises(BadSignature, match=name):
        verify_standard(SECRET, headers, BODY, now=NOW)


def test_another_secret_is_refused() -> None:
    assert refusals(signed(keys=[SigningKey(new_secret(), NOW)]), BODY) == 3


@pytest.mark.parametrize(
    "text",
    [
        "whsec_" + base64.b64encode(b"k" * 32).decode(),
        "whsec_" + base64.b64encode(b"k" * 24).decode(),
        "whsec_" + base64.b64encode(b"k" * 64).decode(),
        "a-plain-secret-of-my-own",
        "p" * 64,
    ],
)
def test_an_owners_own_secret_is_accepted(text: str) -> None:
    secret = accept_secret(text)
    headers = signed(keys=[SigningKey(secret, NOW)])

    raw = text if text.startswith("whsec_") else text.encode()
    standardwebhooks.Webhook(raw).verify(BODY, headers)
    verify_standard(secret, headers, BODY, now=NOW)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("short", "24 to 64 bytes, not 5"),
        ("p" * 65, "24 to 64 bytes, not 65"),
        ("whsec_" + base64.b64encode(b"k" * 23).decode(), "24 to 64 bytes, not 23"),
        ("whsec_not base64!", "printable"),
        ("whsec_not-base64!", "write base64"),
        ("", "printable"),
        ("s\u00e9cret-long-enough-for-anyone", "printable"),
        ("secret-with-a-line-break\n", "printable"),
        ("whsk_" + base64.b64encode(b"k" * 32).decode(), "made by us"),
    ],
)
def test_a_bad_secret_is_refused_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(InvalidSecret, match=says) as caught:
        accept_secret(text)
    assert not text or text not in str(caught.value)


def test_new_secrets_have_32_random_bytes() -> None:
    assert len(base64.b64decode(new_secret().reveal().removeprefix("whsec_"))) == 32
    assert new_secret() != new_secret()


def test_a_secret_is_never_shown_by_accident() -> None:
    shown = f"{SECRET} {SECRET!r} {KEY} {[KEY]}"
    assert SECRET.reveal() not in shown
    assert "Secret(…)" in shown
    with pytest.raises(TypeError):
        json.dumps(SECRET)


def signed(
    *,
    keys: list[SigningKey] | None = None,
    body: bytes = BODY,
    scheme: SignatureScheme = SignatureScheme.TIMESTAMPED,
) -> dict[str, str]:
    return signature_headers(keys or [KEY], event_id="evt_1", sent_at=NOW, body=body, scheme=scheme)


def refusals(headers: dict[str, str], body: bytes) -> int:
    """How many of the three schemes refuse it."""
    verifications: list[Callable[[], None]] = [
        lambda: verify_standard(SECRET, headers, body, now=NOW),
        lambda: verify_finaegis(SECRET, headers, body, now=NOW),
        lambda: verify_body(SECRET, headers, body),
    ]
    return sum(is_refused(verification) for verification in verifications)


def is_refused(verification: Callable[[], None]) -> bool:
    try:
        verification()
    except BadSignature:
        return True
    return False


def flip(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def unix(moment: datetime) -> str:
    return str(int(moment.timestamp()))

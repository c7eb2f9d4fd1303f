"""Signatures: how a receiver knows that a webhook is ours, whole, and new.

Standard Webhooks (`webhook-signature`) and the product's own schemes (`X-…`) are sent side by side.
Both sides are here: `signature_headers` signs an attempt, `verify_…` is what a receiver does.
"""

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.errors import Refused

SECRET_PREFIX: Final = "whsec_"
PRIVATE_KEY_PREFIX: Final = "whsk_"
PUBLIC_KEY_PREFIX: Final = "whpk_"
SECRET_BYTES: Final = 32
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
LIVE_KEYS_MAX: Final = 10
TOLERANCE: Final = timedelta(minutes=5)
PRINTABLE: Final = re.compile(r"[\x21-\x7e]+\Z", re.ASCII)


class InvalidSecret(Refused):
    code = "invalid_secret"


class BadSignature(Refused):
    """What arrived was not signed with this key, was changed on the way, or is not new."""

    code = "bad_signature"


class SignatureScheme(StrEnum):
    """What `X-FinAegis-Signature` signs."""

    TIMESTAMPED = "timestamped"  # sha256=hex over `{timestamp}.{body}`: the product page
    BODY_HEX = "body_hex"  # bare hex over the body: the product's samples and SDKs


class Secret:
    """Text that must not be seen: no log, traceback, answer or payload shows it by accident."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        return self._text


@dataclass(frozen=True)
class SigningKey:
    """One key of an endpoint: `whsec_…` or the owner's own text for HMAC, `whsk_…` for Ed25519."""

    secret: Secret
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def is_key_pair(self) -> bool:
        return self.secret.reveal().startswith(PRIVATE_KEY_PREFIX)


def new_secret() -> Secret:
    return Secret(SECRET_PREFIX + _base64(secrets.token_bytes(SECRET_BYTES)))


def new_key_pair() -> Secret:
    """The private half. `public_key` tells the half to publish."""
    return Secret(PRIVATE_KEY_PREFIX + _base64(Ed25519PrivateKey.generate().private_bytes_raw()))


def public_key(private: Secret) -> str:
    return PUBLIC_KEY_PREFIX + _base64(_private_key(private).public_key().public_bytes_raw())


def accept_secret(text: str) -> Secret:
    """Take an owner's own secret, or raise InvalidSecret, which says what to write."""
    if not PRINTABLE.match(text):
        raise InvalidSecret("a secret has only printable ASCII characters, and no spaces")
    if text.startswith((PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX)):
        raise InvalidSecret("key pairs are made by us: give a secret, or none")
    secret = Secret(text)
    try:
        length = len(_hmac_key(secret))
    except binascii.Error:
        raise InvalidSecret(f"after {SECRET_PREFIX} write base64") from None
    if not SECRET_BYTES_MIN <= length <= SECRET_BYTES_MAX:
        raise InvalidSecret(
            f"a secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes, not {length}: "
            f"write {SECRET_PREFIX} and base64, or plain text of that length"
        )
    return secret


def live_keys(keys: Iterable[SigningKey], now: datetime) -> list[SigningKey]:
    """The keys that sign at `now`, newest first."""
    live = [key for key in keys if key.expires_at is None or now < key.expires_at]
    return sorted(live, key=lambda key: key.created_at, reverse=True)[:LIVE_KEYS_MAX]


def signature_headers(
    keys: Iterable[SigningKey],
    *,
    event_id: str,
    sent_at: datetime,
    body: bytes,
    scheme: SignatureScheme = SignatureScheme.TIMESTAMPED,
) -> dict[str, str]:
    """Every header that proves one attempt. `sent_at` is the attempt's time, never an earlier."""
    live = live_keys(keys, sent_at)
    newest = next((key.secret for key in live if not key.is_key_pair), None)
    assert newest is not None, "an endpoint always has a secret that does not expire"
    timestamp = str(int(sent_at.timestamp()))
    standard_content = f"{event_id}.{timestamp}.".encode() + body
    body_signature = _hex(newest, body)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_standard(key, standard_content) for key in live),
        "X-FinAegis-Event-Id": event_id,
        "X-FinAegis-Timestamp": timestamp,
        "X-FinAegis-Signature": (
            body_signature
            if scheme is SignatureScheme.BODY_HEX
            else f"sha256={_hex(newest, _timestamped(timestamp, body))}"
        ),
        "X-Webhook-Signature": f"sha256={body_signature}",
    }


def verify_standard(key: Secret, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Check `webhook-signature` with a secret, or with the public half of a key pair."""
    event_id, timestamp = _header(headers, "webhook-id"), _header(headers, "webhook-timestamp")
    _check_timestamp(timestamp, now)
    content = f"{event_id}.{timestamp}.".encode() + body
    signatures = _header(headers, "webhook-signature").split(" ")
    # A list, so that the time taken does not tell which one matched.
    if not any([_matches(key, signature, content) for signature in signatures]):
        raise BadSignature("no signature in webhook-signature matches")


def verify_finaegis(key: Secret, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Check `X-FinAegis-Signature`, whichever of its two schemes it follows."""
    signature = _header(headers, "x-finaegis-signature")
    timestamp = _header(headers, "x-finaegis-timestamp")
    _check_timestamp(timestamp, now)
    timestamped = f"sha256={_hex(key, _timestamped(timestamp, body))}"
    expected = timestamped if signature.startswith("sha256=") else _hex(key, body)
    _check_equal("X-FinAegis-Signature", signature, expected)


def verify_body(key: Secret, headers: Mapping[str, str], body: bytes) -> None:
    """Check `X-Webhook-Signature`. It signs no time, so it cannot tell a repeat from the first."""
    signature = _header(headers, "x-webhook-signature")
    _check_equal("X-Webhook-Signature", signature, f"sha256={_hex(key, body)}")


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _hmac_key(secret: Secret) -> bytes:
    """Standard Webhooks: what follows `whsec_` is base64. Other text is the key as it stands."""
    text = secret.reveal()
    if text.startswith(SECRET_PREFIX):
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    return text.encode()


def _private_key(secret: Secret) -> Ed25519PrivateKey:
    raw = base64.b64decode(secret.reveal().removeprefix(PRIVATE_KEY_PREFIX))
    return Ed25519PrivateKey.from_private_bytes(raw)


def _standard(key: SigningKey, content: bytes) -> str:
    if key.is_key_pair:
        return f"v1a,{_base64(_private_key(key.secret).sign(content))}"
    return f"v1,{_base64(hmac.digest(_hmac_key(key.secret), content, 'sha256'))}"


def _hex(secret: Secret, content: bytes) -> str:
    """The product's schemes use the whole text of the secret as the key, prefix and all."""
    return hmac.digest(secret.reveal().encode(), content, "sha256").hex()


def _timestamped(timestamp: str, body: bytes) -> bytes:
    return f"{timestamp}.".encode() + body


def _header(headers: Mapping[str, str], wanted: str) -> str:
    for name, value in headers.items():
        if name.lower() == wanted:
            return value
    raise BadSignature(f"the header {wanted} is missing")


def _check_timestamp(text: str, now: datetime) -> None:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise BadSignature("the timestamp is not in unix seconds")
    if abs(now - datetime.fromtimestamp(int(text), UTC)) > TOLERANCE:
        raise BadSignature("the timestamp is more than 5 minutes from now")


def _check_equal(header: str, given: str, expected: str) -> None:
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise BadSignature(f"{header} does not match")


def _matches(key: Secret, signature: str, content: bytes) -> bool:
    version, _, encoded = signature.partition(",")
    public = key.reveal().startswith(PUBLIC_KEY_PREFIX)
    if version != ("v1a" if public else "v1"):
        return False
    try:
        given = base64.b64decode(encoded, validate=True)
    except ValueError:
        return False
    if public:
        return _ed25519_matches(key, given, content)
    return hmac.compare_digest(given, hmac.digest(_hmac_key(key), content, "sha256"))


def _ed25519_matches(key: Secret, signature: bytes, content: bytes) -> bool:
    raw = base64.b64decode(key.reveal().removeprefix(PUBLIC_KEY_PREFIX))
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, content)
    except InvalidSignature:
        return False
    return True

"""Verify a webhook with nothing but Python's standard library."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any


class NotTrusted(Exception):
    """Answer 401: it was not signed with this secret, was changed on the way, or is too old."""


def verify(
    secret: str, headers: Mapping[str, str], body: bytes, *, tolerance_seconds: int = 300
) -> dict[str, Any]:
    """Return the event. `body` is the raw body, as it came: do not parse it before."""
    found = {name.lower(): value for name, value in headers.items()}
    event_id, timestamp = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise NotTrusted("the webhook headers are missing")
    if abs(time.time() - int(timestamp)) > tolerance_seconds:
        raise NotTrusted("the webhook is too old, or a clock is wrong")

    expected = hmac.new(
        _key(secret), f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256
    ).digest()
    # During a rotation there are several signatures; one that matches is enough.
    for signature in found.get("webhook-signature", "").split(" "):
        version, _, encoded = signature.partition(",")
        if version == "v1" and hmac.compare_digest(_decoded(encoded), expected):
            event: dict[str, Any] = json.loads(body)
            return event
    raise NotTrusted("no signature matches")


def _key(secret: str) -> bytes:
    """What follows `whsec_` is base64; a secret of your own is used as it stands."""
    if secret.startswith("whsec_"):
        return base64.b64decode(secret.removeprefix("whsec_"))
    return secret.encode()


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""

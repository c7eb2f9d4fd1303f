"""Encrypt what must be secret at rest: endpoint secrets and custom headers.

AES-256-GCM; the row's id is bound in, so that a sealed text moved to another row does not open.
A sealed text starts with the id of the key that sealed it: new keys are added in front, old ones
still open, and `sagapost secrets reencrypt` moves rows to the newest.
"""

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
KEY_ID_BYTES = 4


class WrongKey(Exception):
    """Sealed by a key that this process was not given: set SECRETS_KEY to old and new."""


class Vault:
    """The keys at rest, newest first: the first seals, each of them opens."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        assert keys, "a vault needs a key"
        self._keys = {_key_id(key): AESGCM(key) for key in keys}
        self._newest = _key_id(keys[0])

    @property
    def key_id(self) -> str:
        """The id of the key that seals now, as rows show it."""
        return self._newest.hex()

    def seal(self, plain: bytes, *, bound_to: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self._newest].encrypt(nonce, plain, bound_to.encode())
        return self._newest + nonce + sealed

    def open(self, sealed: bytes, *, bound_to: str) -> bytes:
        """Raises WrongKey, also for a text that was changed or moved to another row."""
        key_id, rest = sealed[:KEY_ID_BYTES], sealed[KEY_ID_BYTES:]
        key = self._keys.get(key_id)
        if key is None:
            raise WrongKey(f"no key at rest has the id {key_id.hex()}")
        try:
            return key.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], bound_to.encode())
        except (InvalidTag, ValueError):  # The latter for a text that was cut off.
            raise WrongKey("a sealed text does not open: was it changed or moved?") from None


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"sagapost key id" + key).digest()[:KEY_ID_BYTES]

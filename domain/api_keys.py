"""API keys: how one is made, and what can be said of one without asking the database.

`sp_live_<id>_<secret>_<checksum>`: the id is not secret and finds the row, the checksum tells a
typo, and a scanner of leaked secrets, from a real key. The operator may give the first key a
value of their own; its id is then the start of its digest.
"""

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
LIVE: Final = "sp_live"
TEST: Final = "sp_test"
ID_CHARACTERS: Final = 8
SECRET_CHARACTERS: Final = 32  # 190 bits: a fast digest is enough to keep it by.
CHECKSUM_CHARACTERS: Final = 6
OWN_KEY_CHARACTERS_MIN: Final = 20
OWN_KEY_CHARACTERS_MAX: Final = 256

EVERYTHING: Final = "*"
# What a key may be allowed. `*` is all of it but ADMIN, which is not one tenant's business.
SCOPES: Final = {
    EVERYTHING: "everything that is this tenant's",
    "read": "read everything",
    "write": "make and change everything, but for API keys",
    "delete": "delete, close and expunge",
    "accounts.read": "read accounts",
    "accounts.manage": "open, change, freeze and close accounts",
    "transactions.read": "read statements",
    "transactions.manage": "deposit and withdraw",
    "transfers.read": "read transfers",
    "transfers.manage": "start, cancel and reverse transfers",
    "webhooks.read": "read webhooks",
    "webhooks.manage": "make, change, test and delete webhooks",
    "deliveries.read": "read deliveries",
    "deliveries.manage": "redeliver, cancel, pause and replay",
    "reports.read": "read and download compliance reports",
    "events.read": "read events",
    "events.publish": "publish events",
    "events.manage": "expunge events",
    "workflows.read": "read workflows",
    "workflows.start": "start, cancel and signal workflows",
    "workflows.approve": "approve what workflows ask",
    "workflows.operate": "decide how stuck workflows go on",
    "partners.read": "read partners, and download their client packages",
    "partners.manage": "take partners on board, and give them their keys",
    "keys.read": "read API keys",
    "keys.manage": "make, rotate and revoke API keys",
    "tenants.manage": "make and change tenants of this installation",
    "metrics.read": "read the figures of this installation",
}
ADMIN: Final = frozenset({"tenants.manage", "metrics.read"})

OURS: Final = re.compile(
    rf"(?P<body>sp_(?:live|test)_(?P<id>[0-9A-Za-z]{{{ID_CHARACTERS}}})"
    rf"_[0-9A-Za-z]{{{SECRET_CHARACTERS}}})_(?P<checksum>[0-9A-Za-z]{{{CHECKSUM_CHARACTERS}}})\Z",
    re.ASCII,
)
VISIBLE: Final = re.compile(r"[\x21-\x7e]+\Z", re.ASCII)


def new_key(prefix: str = LIVE) -> str:
    return key_with_id(_random(ID_CHARACTERS), prefix)


def key_with_id(id: str, prefix: str = LIVE) -> str:
    """A key of this form with a secret of its own: of a key that there is, a wrong guess."""
    body = f"{prefix}_{id}_{_random(SECRET_CHARACTERS)}"
    return f"{body}_{_checksum(body)}"


def key_id(key: str) -> str | None:
    """The id that finds the key's row, or None: then no row can be this key's."""
    if not key.startswith((f"{LIVE}_", f"{TEST}_")):
        return digest(key).hex()[:ID_CHARACTERS]
    found = OURS.match(key)
    if found is None or _checksum(found["body"]) != found["checksum"]:
        return None
    return found["id"]


def key_prefix(key: str) -> str:
    return TEST if key.startswith(f"{TEST}_") else LIVE


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def check_own_key(key: str) -> None:
    """Raise ValueError, with what to write, if an operator's own key will not do."""
    if not OWN_KEY_CHARACTERS_MIN <= len(key) <= OWN_KEY_CHARACTERS_MAX or not VISIBLE.match(key):
        raise ValueError(
            f"an API key has {OWN_KEY_CHARACTERS_MIN} to {OWN_KEY_CHARACTERS_MAX} "
            "printable ASCII characters, and no spaces"
        )
    if key_id(key) is None:
        raise ValueError(f"this key starts with {key_prefix(key)}_ but its checksum is wrong")


def _random(characters: int) -> str:
    return "".join(secrets.choice(BASE62) for _ in range(characters))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(BASE62))
        digits.append(BASE62[digit])
    return "".join(reversed(digits))

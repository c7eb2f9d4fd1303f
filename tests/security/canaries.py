"""Texts that are found nowhere else, and a search for them in whatever form they may have."""

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote


def canary(name: str) -> str:
    """Unique, and readable in a report: `canary-reference-8f2c…`."""
    return f"canary-{name}-{secrets.token_hex(16)}".replace(" ", "-")


@dataclass
class Canaries:
    """By what each of them is. A secret may be nowhere; a personal text not outside our database
    and the answers to its owner."""

    secret: dict[str, bytes] = field(default_factory=dict)
    personal: dict[str, bytes] = field(default_factory=dict)

    def hide(self, name: str, text: str | None = None) -> str:
        """A secret: a new one, or one that the system made."""
        text = text or canary(name)
        self.secret[name] = text.encode()
        return text

    def tell(self, name: str) -> str:
        """Something about a person."""
        self.personal[name] = canary(name).encode()
        return self.personal[name].decode()


def found(canaries: dict[str, bytes], contents: bytes) -> list[str]:
    """Which of them are in there."""
    return [
        name for name, text in canaries.items() if any(form in contents for form in forms(text))
    ]


def forms(text: bytes) -> Iterable[bytes]:
    """The text as it is, in hexadecimal, in a URL, in JSON, in base64 at any place."""
    yield text
    yield text.hex().encode()
    yield quote(text).encode()
    yield json.dumps(text.decode("latin-1")).encode()[1:-1]
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + text)
        # The first and the last characters depend on what stands beside the text.
        yield encoded[4:-4]
        yield encoded[4:-4].replace(b"+", b"-").replace(b"/", b"_")


def contents_of(paths: Iterable[Path]) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(paths) if path.is_file())

"""Custom headers: which ones an endpoint's owner may add to our requests.

Checked when they are stored, and once more, in short, before each attempt. An HTTP library would
send a customer's `Host` or `Transfer-Encoding` as it stands, and so let one speak for another.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

HEADERS_MAX: Final = 20
HEADERS_BYTES_MAX: Final = 4096
NAMES_CACHED: Final = 4096

TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z", re.ASCII)  # RFC 9110, 5.6.2
# RFC 9110, 5.5, without obs-text: visible ASCII, with spaces and tabs only in between.
FIELD_VALUE: Final = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?\Z", re.ASCII)

# They frame the request, route it, or are ours to write.
RESERVED: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer"}
    | {"upgrade", "expect", "content-type", "content-encoding", "accept-encoding", "user-agent"}
    | {"cookie", "forwarded", "traceparent", "tracestate"}
)
RESERVED_PREFIXES: Final = (
    "proxy-",
    "svix-",
    "webhook-",
    "x-finaegis-",
    "x-forwarded-",
    "x-webhook-",
)


def check_headers(headers: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with them, in words that never repeat a value."""
    problems = [problem for item in headers.items() if (problem := _problem(*item))]
    names = {name.lower() for name in headers}
    if len(names) < len(headers):
        problems.append("a header is given twice: names differ in more than upper and lower case")
    if len(headers) > HEADERS_MAX:
        problems.append(f"there are {len(headers)} headers: give at most {HEADERS_MAX}")
    if sum(len(name) + len(value) for name, value in headers.items()) > HEADERS_BYTES_MAX:
        problems.append(f"all headers together may have at most {HEADERS_BYTES_MAX} characters")
    return problems


def can_be_sent(headers: Mapping[str, str]) -> bool:
    """Whether these, ours and theirs, are headers and nothing more. Asked before each attempt."""
    return all(_is_token(name) and _is_one_line(value) for name, value in headers.items())


def is_reserved(name: str) -> bool:
    return name.lower() in RESERVED or name.lower().startswith(RESERVED_PREFIXES)


@lru_cache(NAMES_CACHED)
def _is_token(name: str) -> bool:
    return TOKEN.match(name) is not None


def _is_one_line(value: str) -> bool:
    return value.isascii() and (value.isprintable() or FIELD_VALUE.match(value) is not None)


def _problem(name: str, value: str) -> str | None:
    if not TOKEN.match(name):
        return f"{name[:60]!r} is not a header name: use letters, digits and hyphens"
    if is_reserved(name):
        return f"{name[:60]} is reserved: choose another name"
    if not FIELD_VALUE.match(value):
        return (
            f"the value of {name[:60]} may have only printable ASCII characters, "
            "and no space at either end"
        )
    return None

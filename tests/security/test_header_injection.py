"""Custom headers that want to be more than headers: none of them reaches the wire."""

import re
from collections.abc import Iterator
from itertools import product
from random import Random

import httpx
import pytest

from domain.delivery import OutcomeClass
from domain.headers import RESERVED, RESERVED_PREFIXES, check_headers
from tests.api.asking import make_webhook, problem_of
from tests.api.conftest import (  # noqa: F401 - fixtures
    api,
    api_database,
    app,
    key,
    queue,
    services,
    settings,
)
from tests.figures import Figure
from tests.runtime.clients import post, webhook_client
from tests.runtime.receivers import OK, always, receiving

EVIL = "X-Evil: 1"
# What ends a line or a text somewhere: by itself, cut to its low byte, or in another encoding.
BREAKS = [
    *["\r\n", "\n", "\r", "\r\n\r\n", "\n\n", "\r\n ", "\r\n\t", "\n\r", "\x00", "\x0b", "\x0c"],
    *["\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\u010a", "\u010d", "\u560a\u560d"],
    *["\x7f", "\x08", "\x1b[2K", "\ud83d", "\u00e9", "\ufeff", "\u200b"],
]
NAMES = ["X-Key", "Authorization", "x", "X-" + "a" * 100]
VALUES = ["Bearer abc", "", "a\tb", "v" * 500]
BAD_NAMES = [
    "",
    " ",
    ":",
    "X Key",
    "X-Key:",
    " X-Key",
    "X-Key ",
    "(x)",
    "X@Y",
    "X/Y",
    'X"',
    "X=Y",
    "{}",
]
GENERATED = 900
LINE_END = re.compile(rb"\r\n|\r|\n")  # As a lenient receiver would read them.
LINES_OF_A_HEAD = 7  # The request, four of ours, the one that was given, the end.


def injections() -> list[tuple[str, str]]:
    """A break at the start, in the middle and at the end of a name or of a value."""
    found = [
        pair
        for name, value, broken in product(NAMES, VALUES, BREAKS)
        for evil in (f"{broken}{EVIL}", broken)
        for pair in (
            (name, f"{value}{evil}"),
            (name, f"{evil}{value}"),
            (f"{name}{evil}", value),
            (f"{evil}{name}", value),
        )
    ]
    Random(1).shuffle(found)
    return [*product(BAD_NAMES, VALUES), *found]


def reserved_names() -> Iterator[str]:
    for name in (
        *RESERVED,
        *(f"{prefix}{end}" for prefix in RESERVED_PREFIXES for end in ("", "x")),
    ):
        yield from (name, name.upper(), name.title(), name.swapcase())


def test_every_injection_and_every_reserved_name_is_refused(figure: Figure) -> None:
    passed = [pair for pair in injections() if not check_headers(dict([pair]))]
    taken = [name for name in reserved_names() if not check_headers({name: "1"})]

    assert (passed, taken) == ([], [])
    figure(f"{len(injections())} injections and {len([*reserved_names()])} reserved names refused")


async def test_even_unchecked_none_of_them_reaches_the_wire(figure: Figure) -> None:
    """As if the check at the API had a hole."""
    chosen = injections()[:GENERATED]
    async with receiving(always(OK)) as receiver, webhook_client() as client:
        for name, value in chosen:
            outcome = await post(client, receiver.url, headers={name: value}, seconds=0.5)
            assert outcome.outcome is OutcomeClass.UNEXPECTED, (name, value)
        reached = [*receiver.heads]
        assert (await post(client, receiver.url)).succeeded

    assert reached == []
    figure(f"{len(chosen)} generated names and values, {len(reached)} on the wire")


async def test_the_library_below_splits_no_request_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.http.can_be_sent", lambda _: True)
    async with receiving(always(OK)) as receiver, webhook_client() as client:
        for name, value in injections()[:GENERATED]:
            await post(client, receiver.url, headers={name: value}, seconds=0.5)
            assert len(receiver.heads) <= 1, (name, value)
            ours = [line for line in receiver.heads for line in LINE_END.split(line)]
            assert len(ours) <= LINES_OF_A_HEAD, (name, value)
            receiver.heads.clear()


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_the_api_takes_none_of_them(api: httpx.AsyncClient, method: str) -> None:  # noqa: F811
    webhook = await make_webhook(api)
    path = "/webhooks" if method == "POST" else f"/webhooks/{webhook['id']}"
    writable = [pair for pair in injections() if is_json(pair)]
    for name, value in writable[:: len(writable) // 60]:
        body = {"url": "https://hooks.example.com/in", "events": ["*"], "headers": {name: value}}
        problem_of(await api.request(method, path, json=body), 422, "VALIDATION_FAILED")

    kept = (await api.get(f"/webhooks/{webhook['id']}")).json()["data"]["headers"]
    assert kept == {}


def is_json(pair: tuple[str, str]) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in "".join(pair))

"""Our verdicts on addresses against tables that others wrote, over generated addresses."""

import socket
from contextlib import suppress
from ipaddress import ip_address
from itertools import islice
from random import Random

import pytest

from domain.url_policy import (
    DENIED_NETWORKS,
    Address,
    Network,
    UrlPolicy,
    UrlRefused,
    check_address,
    check_url,
)
from tests.security.address_table import addresses, edges, embeddings, is_dangerous, spellings

PUBLIC = UrlPolicy(allow_http=True)
GENERATED = 100_000
SPELLED = 4_000
SEED = 20260101

# What the tables call reachable and we refuse all the same: IANA's anycast and AS112 services, and
# all that is taken from 2001::/23. None of them is a receiver of webhooks.
NEEDLESSLY_REFUSED_MAX = 0.02


def test_no_address_that_the_tables_call_dangerous_is_allowed() -> None:
    generated = list(islice(addresses(Random(SEED)), GENERATED))
    allowed = [address for address in generated if is_allowed(address)]
    safe = [address for address in generated if not is_dangerous(address)]

    assert [address for address in allowed if is_dangerous(address)] == []
    assert len(generated) == GENERATED
    assert len(safe) > 5_000, "a run without safe addresses proves nothing"
    assert len(allowed) >= (1 - NEEDLESSLY_REFUSED_MAX) * len(safe)


@pytest.mark.parametrize("network", DENIED_NETWORKS, ids=str)
def test_the_tables_would_notice_a_network_that_we_forgot(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = tuple(denied for denied in DENIED_NETWORKS if denied != network)
    monkeypatch.setattr("domain.url_policy.DENIED_NETWORKS", rest)

    assert any(is_allowed(address) and is_dangerous(address) for address in edges())


@pytest.mark.security
@pytest.mark.parametrize("seed", range(10))
def test_nor_over_a_million_of_them(seed: int) -> None:
    for address in islice(addresses(Random(seed)), GENERATED):
        assert not (is_allowed(address) and is_dangerous(address)), address


def test_no_address_hides_in_another() -> None:
    chance = Random(SEED)
    for _ in range(2_000):
        for hidden in embeddings(ip_address(chance.getrandbits(32)), chance):
            assert not is_allowed(hidden), hidden


def test_no_spelling_gets_past_what_the_plain_address_does_not() -> None:
    chance = Random(SEED)
    for address in islice(addresses(chance), SPELLED):
        for host in spellings(address, chance):
            meant = accepted_host(f"https://{host}/")
            assert meant is None or meant == as_the_system_reads_it(host), host
            assert meant is None or not is_dangerous(meant), host


def is_allowed(address: Address) -> bool:
    with suppress(UrlRefused):
        check_address(str(address), PUBLIC)
        check_url(f"https://[{address}]/" if ":" in str(address) else f"https://{address}/", PUBLIC)
        return True
    return False


def accepted_host(url: str) -> Address | None:
    with suppress(UrlRefused):
        return ip_address(check_url(url, PUBLIC).host)
    return None


def as_the_system_reads_it(host: str) -> Address:
    [first, *_] = socket.getaddrinfo(host.strip("[]"), 443, flags=socket.AI_NUMERICHOST)
    return ip_address(first[4][0])

from ipaddress import IPv4Address, IPv6Address, ip_network
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from domain.url_policy import (
    REASONS,
    Target,
    UrlPolicy,
    UrlRefused,
    check_address,
    check_url,
)
from tests.bad_urls import CorpusLine, bad_urls, corpus

# As permissive as an operator can be without an exception for a network.
PUBLIC = UrlPolicy(allow_http=True, ports=frozenset({80, 443, 8443}))
STRICT = UrlPolicy()
LOOPBACK = UrlPolicy(
    allow_http=True, allow_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128"))
)

public_addresses = st.sampled_from(["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111"])
url_characters = st.sampled_from([*"hxn-.:/@[]%?#\\0123456789", "127.0.0.1", "example.com", "::1"])


@pytest.mark.parametrize("line", bad_urls(), ids=lambda line: ascii(line.url[:60]))
def test_a_bad_url_is_refused_for_the_expected_reason(line: CorpusLine) -> None:
    assert line.reason in REASONS
    assert reason_of(line.url, PUBLIC) == line.reason
    assert reason_of(line.url, STRICT)


@pytest.mark.parametrize("line", corpus("DNS:"), ids=lambda line: line.url)
def test_a_name_is_judged_by_every_address_it_resolves_to(line: CorpusLine) -> None:
    answers = [answer for lookup in line.lookups for answer in lookup]

    check_url(line.url, PUBLIC)  # The name alone gives no reason to refuse it.

    assert line.reason == "dns" or line.reason in {
        address_reason(answer, PUBLIC) for answer in answers
    }


@pytest.mark.parametrize("line", corpus("GOOD:"), ids=lambda line: line.url)
def test_a_good_url_is_accepted(line: CorpusLine) -> None:
    target = check_url(line.url, STRICT)

    assert target.scheme == "https"
    for lookup in line.lookups:
        assert [address_reason(answer, STRICT) for answer in lookup] == [None] * len(lookup)


def test_the_corpus_is_whole() -> None:
    assert len(bad_urls()) > 170
    assert len(corpus("GOOD:")) == 10
    assert len(corpus("DNS:")) == 9


def test_a_url_is_taken_apart_once() -> None:
    assert check_url("https://Hooks.Example.com/a?b=c", STRICT) == Target(
        "https", "hooks.example.com", 443, None, "/a?b=c"
    )
    six = check_url("https://[2606:4700:4700:0::1111]:443", STRICT)
    assert six == Target("https", "2606:4700:4700::1111", 443, "2606:4700:4700::1111", "/")
    assert six.origin == "https://[2606:4700:4700::1111]:443"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example.com/", "scheme"),
        ("https://hooks.example.com:8443/", "port"),
        ("https://hooks.example.com/%0a", "escaped_control"),
        ("https://xn--a.example.com/", "punycode"),
        ("https://[8.8.8.8]/", "host_syntax"),
        ("https://8.8.8.8./", "ipv4_spelling"),
        ("https://hooks_1.example.com/", "host_syntax"),
    ],
)
def test_by_default_only_https_on_its_own_port(url: str, reason: str) -> None:
    assert reason_of(url, STRICT) == reason


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/", "http://[::1]:9000/", "http://localhost:9000/hook"]
)
def test_an_operator_can_allow_loopback_on_any_port(url: str) -> None:
    assert check_url(url, LOOPBACK).port == 9000
    assert reason_of(url, PUBLIC) in {"address_denied", "special_name"}


@pytest.mark.parametrize("line", bad_urls(), ids=lambda line: ascii(line.url[:60]))
def test_allowing_loopback_allows_nothing_else(line: CorpusLine) -> None:
    try:
        target = check_url(line.url, LOOPBACK)
    except UrlRefused:
        return
    assert target.host == "localhost" or target.host.startswith("127.") or target.host == "::1"


@pytest.mark.parametrize("port", [0, 65536])
def test_even_an_allowed_address_needs_a_possible_port(port: int) -> None:
    assert reason_of(f"http://127.0.0.1:{port}/", LOOPBACK) == "port"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("8.8.8.8", None),
        ("2606:4700:4700::1111", None),
        ("fe80::1%eth0", "address_scope"),
        ("::ffff:8.8.8.8", "address_embeds_ipv4"),
        ("192.0.0.192", "address_denied"),
        ("not an address", "host_syntax"),
    ],
)
def test_addresses_as_a_resolver_spells_them(address: str, reason: str | None) -> None:
    assert address_reason(address, PUBLIC) == reason


@given(st.ip_addresses())
def test_whatever_python_calls_local_is_denied(address: IPv4Address | IPv6Address) -> None:
    local = not address.is_global or address.is_multicast or address.is_reserved
    if local or getattr(address, "sixtofour", None) or getattr(address, "teredo", None):
        assert address_reason(str(address), PUBLIC)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_cannot_hide_in_an_ipv6_address(address: IPv4Address) -> None:
    four = int(address)
    for embedded in (four, 0xFFFF << 32 | four, 0x64FF9B << 96 | four, 0x2002 << 112 | four << 80):
        assert address_reason(str(IPv6Address(embedded)), PUBLIC)


@given(st.lists(url_characters, max_size=12).map("".join))
def test_no_two_parsers_disagree_about_a_url_we_accept(rest: str) -> None:
    url = f"https://{rest}"
    try:
        target = check_url(url, PUBLIC)
    except UrlRefused:
        return

    assert urlsplit(url).hostname == target.host
    assert URL(url).raw_host == target.host
    assert httpx.URL(url).raw_host.decode() == target.host


@given(st.from_regex(r"xn--[a-z0-9-]{1,40}", fullmatch=True))
def test_punycode_that_passes_can_be_read_by_our_http_library(label: str) -> None:
    url = f"https://{label}.example.com/"
    if reason_of(url, PUBLIC) is None:
        assert URL(url, encoded=True).host


@given(st.text(max_size=80))
def test_any_text_is_accepted_or_refused(text: str) -> None:
    assert reason_of(text, PUBLIC) in {None, *REASONS}


def test_no_reason_tells_an_address() -> None:
    with pytest.raises(UrlRefused) as caught:
        check_address("10.1.2.3", PUBLIC)
    assert "10.1.2.3" not in f"{caught.value} {caught.value.details}"


def reason_of(url: str, policy: UrlPolicy) -> str | None:
    try:
        check_url(url, policy)
    except UrlRefused as refused:
        return refused.reason
    return None


def address_reason(address: str, policy: UrlPolicy) -> str | None:
    try:
        check_address(address, policy)
    except UrlRefused as refused:
        return refused.reason
    return None

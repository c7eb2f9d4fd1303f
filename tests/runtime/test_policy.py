"""What the operator's settings make of the rules for URLs."""

import pytest

from domain.url_policy import UrlRefused, check_address, check_url
from runtime.policy import forward_proxy, url_policy
from runtime.settings import Settings


def test_by_default_webhooks_go_straight_to_public_https() -> None:
    policy = url_policy(Settings())

    check_url("https://hooks.example.com/", policy)
    assert reason_of("http://hooks.example.com/", Settings()) == "scheme"
    assert reason_of("https://127.0.0.1/", Settings()) == "address_denied"
    assert forward_proxy(Settings()) is None


def test_an_operator_adds_ports() -> None:
    settings = Settings(endpoint_ports="8443, 9443")

    assert reason_of("https://hooks.example.com:8443/", settings) is None
    assert reason_of("https://hooks.example.com/", settings) is None
    assert reason_of("https://hooks.example.com:8444/", settings) == "port"


def test_an_operator_denies_public_networks_and_all_else_stays_denied() -> None:
    policy = url_policy(Settings(endpoint_deny_cidrs="8.8.8.0/24,2606:4700::/32"))

    for address in ("8.8.8.8", "2606:4700::1111", "127.0.0.1", "10.0.0.1", "fe80::1"):
        with pytest.raises(UrlRefused):
            check_address(address, policy)
    check_address("8.8.4.4", policy)


def test_what_is_denied_beats_what_is_allowed() -> None:
    settings = Settings(
        endpoint_allow_cidrs="10.0.0.0/8,127.0.0.0/8",
        endpoint_deny_cidrs="10.1.0.0/16,127.0.0.1/32",
    )

    assert reason_of("https://10.2.0.1:9000/", settings) is None
    assert reason_of("https://10.1.0.1:9000/", settings) == "address_denied"
    assert reason_of("https://localhost/", settings) == "special_name"


def test_a_forward_proxy_may_have_a_password_that_nothing_shows() -> None:
    settings = Settings(endpoint_proxy="http://user:hush@proxy.internal:3128")

    assert forward_proxy(settings) == "http://user:hush@proxy.internal:3128"
    assert "hush" not in repr(settings)


def reason_of(url: str, settings: Settings) -> str | None:
    try:
        check_url(url, url_policy(settings))
    except UrlRefused as refused:
        return refused.reason
    return None

"""URL policy: where a webhook may go.

Checked twice: the URL when an endpoint is stored, and URL and addresses at each attempt. The second
check is the one that counts, because a name may resolve to something else by then.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

import idna

from domain.errors import Refused

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

URL_MAX: Final = 2048
HOST_MAX: Final = 253
DEFAULT_PORTS: Final = {"https": 443, "http": 80}

# `ip_address(…).is_global` is no substitute: on Python 3.11 it is true of multicast, of 6to4, and
# of the metadata services 192.0.0.192 and 168.63.129.16. Sources: the IANA special-purpose
# registries, Stripe's Smokescreen, Svix, Microsoft AntiSSRF.
DENIED_NETWORKS: Final[tuple[Network, ...]] = (
    IPv4Network("0.0.0.0/8"),  # this host
    IPv4Network("10.0.0.0/8"),  # private
    IPv4Network("100.64.0.0/10"),  # carriers' NAT; Alibaba's metadata service
    IPv4Network("127.0.0.0/8"),  # loopback
    IPv4Network("168.63.129.16/32"),  # Azure's WireServer, among public addresses
    IPv4Network("169.254.0.0/16"),  # link-local; most clouds' metadata service
    IPv4Network("172.16.0.0/12"),  # private
    IPv4Network("192.0.0.0/24"),  # protocol assignments; metadata of HP and Oracle
    IPv4Network("192.0.2.0/24"),  # documentation
    IPv4Network("192.31.196.0/24"),  # AS112
    IPv4Network("192.52.193.0/24"),  # AMT
    IPv4Network("192.88.99.0/24"),  # 6to4 relay
    IPv4Network("192.168.0.0/16"),  # private
    IPv4Network("192.175.48.0/24"),  # AS112
    IPv4Network("198.18.0.0/15"),  # benchmarks
    IPv4Network("198.51.100.0/24"),  # documentation
    IPv4Network("203.0.113.0/24"),  # documentation
    IPv4Network("224.0.0.0/4"),  # multicast
    IPv4Network("240.0.0.0/4"),  # reserved; broadcast
    IPv6Network("2001::/23"),  # Teredo, ORCHID, benchmarks, AMT
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("2620:4f:8000::/48"),  # AS112
    IPv6Network("3fff::/20"),  # documentation
)
# Everything else in IPv6 is local, embeds an IPv4 address, or is not assigned.
GLOBAL_UNICAST_6: Final = IPv6Network("2000::/3")
LOOPBACK: Final = ("127.0.0.1", "::1")

SPECIAL_TLDS: Final = frozenset(
    {"localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "svc"}
    | {"arpa", "onion", "test", "invalid", "example"}
)
METADATA_NAMES: Final = frozenset({"metadata.amazonaws.com"})

PRINTABLE: Final = re.compile(r"[\x21-\x7e]*\Z", re.ASCII)
URL_PARTS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(/.*)?\Z", re.ASCII)
BRACKETED: Final = re.compile(r"\[([0-9a-fA-F:.]*:[0-9a-fA-F:.]*)\](?::(\d{1,5}))?\Z", re.ASCII)
PLAIN: Final = re.compile(r"([^:]*)(?::(\d{1,5}))?\Z", re.ASCII)
LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z", re.ASCII)
NUMERIC_LABEL: Final = re.compile(r"(\d+|0x[0-9a-f]*)\Z", re.ASCII)
ESCAPED_CONTROL: Final = re.compile(r"%(0[0-9a-f]|1[0-9a-f]|7f)", re.ASCII | re.IGNORECASE)

# What to say for each reason. No text tells which address a name resolved to: that would let
# anyone with an endpoint read our inner DNS.
REASONS: Final = {
    "too_long": f"a URL has at most {URL_MAX} characters",
    "characters": "a URL has only printable ASCII characters: write punycode and %XX escapes",
    "backslash": "a URL has no backslash",
    "fragment": "leave out the fragment (# and what follows)",
    "syntax": "write the URL as https://host/path",
    "scheme": "the URL must start with https://",
    "userinfo": "leave out the user name and password: use a custom header instead",
    "percent_in_host": "the host may not have % escapes",
    "host_empty": "the URL has no host",
    "host_too_long": f"a host has at most {HOST_MAX} characters",
    "host_syntax": "the host must be a DNS name or an IP address in its usual form",
    "ipv4_spelling": "write an IPv4 address as four decimal numbers, like 8.8.8.8",
    "single_label": "the host must be a full DNS name, with a dot in it",
    "special_name": "the host's name is reserved for local use",
    "punycode": "the host has a label that is not valid punycode",
    "port": "use the usual port, or one that the operator allows",
    "escaped_control": "the path may not have escaped control characters",
    "address_denied": "the host's address is not a public one",
    "address_embeds_ipv4": "write the IPv4 address itself, not inside an IPv6 address",
    "address_scope": "an address may not have a zone",
}


class UrlRefused(Refused):
    """A webhook may not go there. `reason` is a key of REASONS."""

    code = "url_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason], reason=reason)
        self.reason = reason


@dataclass(frozen=True)
class UrlPolicy:
    """What the operator adds to the rules of this module, each of which holds without it.

    `allow_networks` are exceptions: any port of an address written in the URL. `deny_networks` are
    denied beside what always is, and also where an exception would allow them.
    """

    allow_http: bool = False
    ports: frozenset[int] = frozenset(DEFAULT_PORTS.values())
    allow_networks: tuple[Network, ...] = ()
    deny_networks: tuple[Network, ...] = ()

    def allows(self, address: Address) -> bool:
        """Whether the operator made an exception for this address."""
        return _is_in(address, self.allow_networks) and not self.denies(address)

    def denies(self, address: Address) -> bool:
        """Whether the operator denies this address, which may be a public one."""
        return _is_in(address, self.deny_networks)

    def loopback(self) -> list[str]:
        """What the name `localhost` means here: nothing, unless the operator allows it."""
        return [text for text in LOOPBACK if self.allows(ip_address(text))]


@dataclass(frozen=True)
class Target:
    """A URL, taken apart once. `address` is set where the host is an IP address."""

    scheme: str
    host: str
    port: int
    address: str | None
    path: str

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def check_url(text: str, policy: UrlPolicy) -> Target:
    """Take the URL apart, or raise UrlRefused. Strict: no two parsers may disagree about it."""
    _check_characters(text)
    parts = URL_PARTS.match(text)
    if parts is None:
        raise UrlRefused("syntax")
    scheme, authority, path = parts[1].lower(), parts[2], parts[3] or "/"
    if scheme != "https" and not (scheme == "http" and policy.allow_http):
        raise UrlRefused("scheme")
    if ESCAPED_CONTROL.search(path):
        raise UrlRefused("escaped_control")
    host, port_text = _split_authority(authority)
    port = int(port_text) if port_text else DEFAULT_PORTS[scheme]
    address = _parse_address(host)
    if address is None:
        _check_name(host, policy)
        _check_port(port, excepted=host == "localhost", policy=policy)
        return Target(scheme, host, port, None, path)
    check_address(str(address), policy)
    _check_port(port, excepted=policy.allows(address), policy=policy)
    return Target(scheme, str(address), port, str(address), path)


def check_address(text: str, policy: UrlPolicy) -> Address:
    """Read an address as the kernel or a resolver spells it, or raise UrlRefused."""
    try:
        address = ip_address(text)
    except ValueError:
        raise UrlRefused("host_syntax") from None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise UrlRefused("address_scope")
        if address.ipv4_mapped is not None:
            raise UrlRefused("address_embeds_ipv4")
    if not policy.allows(address) and _is_denied(address, policy):
        raise UrlRefused("address_denied")
    return address


def _is_denied(address: Address, policy: UrlPolicy) -> bool:
    if address.version == 6 and address not in GLOBAL_UNICAST_6:
        return True
    return _is_in(address, DENIED_NETWORKS) or policy.denies(address)


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _check_characters(text: str) -> None:
    if len(text) > URL_MAX:
        raise UrlRefused("too_long")
    if not PRINTABLE.match(text):
        raise UrlRefused("characters")
    if "\\" in text:
        raise UrlRefused("backslash")
    if "#" in text:
        raise UrlRefused("fragment")


def _split_authority(authority: str) -> tuple[str, str | None]:
    """The host, in lower case and without brackets, and the port if there is one."""
    if "@" in authority:
        raise UrlRefused("userinfo")
    if "%" in authority:
        raise UrlRefused("percent_in_host")
    parts = (BRACKETED if authority.startswith("[") else PLAIN).match(authority)
    if parts is None:
        raise UrlRefused("host_syntax")
    if not parts[1]:
        raise UrlRefused("host_empty")
    if len(parts[1]) > HOST_MAX:
        raise UrlRefused("host_too_long")
    return parts[1].lower(), parts[2]


def _parse_address(host: str) -> Address | None:
    """The host as an address, or None if it is a name.

    As browsers do, a host whose last label is a number is an IPv4 address or nothing: the system's
    resolver would read 127.1, 0x7f.1 and 2130706433 as one.
    """
    if ":" in host:
        try:
            return IPv6Address(host)
        except ValueError:
            raise UrlRefused("host_syntax") from None
    last_label = host.removesuffix(".").rpartition(".")[2]
    if not NUMERIC_LABEL.match(last_label):
        return None
    try:
        return IPv4Address(host)
    except ValueError:
        raise UrlRefused("ipv4_spelling") from None


def _check_port(port: int, *, excepted: bool, policy: UrlPolicy) -> None:
    if port not in policy.ports and not (excepted and 0 < port < 65536):
        raise UrlRefused("port")


def _check_name(host: str, policy: UrlPolicy) -> None:
    if host == "localhost" and policy.loopback():
        return
    labels = host.split(".")
    if not all(LABEL.match(label) for label in labels):
        raise UrlRefused("host_syntax")
    if labels[-1] in SPECIAL_TLDS or host in METADATA_NAMES:
        raise UrlRefused("special_name")
    if len(labels) == 1:
        raise UrlRefused("single_label")
    for label in labels:
        _check_punycode(label)


def _check_punycode(label: str) -> None:
    if not label.startswith("xn--"):
        return
    try:
        idna.decode(label)
    except idna.IDNAError:
        raise UrlRefused("punycode") from None

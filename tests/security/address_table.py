"""Which addresses are dangerous, by tables that are not ours: Microsoft AntiSSRF and IANA."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from random import Random

from AntiSSRF import IPAddressRanges

from domain.url_policy import Address, Network

REGISTRY = Path(__file__).parents[1] / "data" / "special_purpose_addresses.tsv"
METADATA = ("169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200", "127.0.0.1")


@cache
def dangerous_networks() -> tuple[Network, ...]:
    rows = [line.split("\t") for line in REGISTRY.read_text().splitlines() if line[:1] != "#"]
    iana = [network for network, _, reachable in rows if reachable != "yes"]
    return tuple(ip_network(text) for text in (*iana, *IPAddressRanges.recommended_latest))


def is_dangerous(address: Address) -> bool:
    """By number alone, without a method of `ipaddress` that our own check may rely on."""
    starts, ends = _spans(address.version)
    place = bisect_right(starts, int(address)) - 1
    return place >= 0 and int(address) <= ends[place]


@cache
def _spans(version: int) -> tuple[list[int], list[int]]:
    """Where the dangerous stretches begin and end, in order, without overlaps."""
    starts: list[int] = []
    ends: list[int] = []
    of_version = [network for network in dangerous_networks() if network.version == version]
    for network in sorted(of_version, key=lambda network: int(network[0])):
        if ends and int(network[0]) <= ends[-1] + 1:
            ends[-1] = max(ends[-1], int(network[-1]))
        else:
            starts.append(int(network[0]))
            ends.append(int(network[-1]))
    return starts, ends


def addresses(chance: Random) -> Iterator[Address]:
    """Without end: the edges of all special networks, what lies in and around them, embeddings."""
    yield from edges()
    while True:
        network = chance.choice(dangerous_networks())
        yield network[chance.randrange(network.num_addresses)]
        yield from embeddings(ip_address(chance.getrandbits(32)), chance)
        four = chance.choice([network for network in dangerous_networks() if network.version == 4])
        yield from embeddings(four[chance.randrange(four.num_addresses)], chance)
        yield ip_address(chance.getrandbits(32))
        yield IPv6Address(0b001 << 125 | chance.getrandbits(125))
        yield IPv6Address(chance.getrandbits(128))


def edges() -> Iterator[Address]:
    yield from map(ip_address, METADATA)
    for network in dangerous_networks():
        bits = network.max_prefixlen
        for number in (int(network[0]), int(network[-1])):
            for near in (number - 1, number, number + 1):
                if 0 <= near < 1 << bits:  # The lowest IPv6 addresses are small numbers too.
                    yield IPv6Address(near) if bits == 128 else IPv4Address(near)


def embeddings(address: Address, chance: Random) -> Iterable[Address]:
    """Ways to write an IPv4 address into an IPv6 one. Each is dangerous, whatever it holds."""
    four, local = int(address), chance.getrandbits(64)
    return map(
        IPv6Address,
        (
            four,  # compatible
            0xFFFF << 32 | four,  # mapped
            0xFFFF << 48 | four,  # translated (SIIT)
            0x64FF9B << 96 | four,  # NAT64
            0x64FF9B0001 << 80 | four,  # NAT64, local use
            0x2002 << 112 | four << 80 | local,  # 6to4
            0x2001 << 112 | chance.getrandbits(32) << 64 | (four ^ 0xFFFFFFFF),  # Teredo
            0xFE80 << 112 | 0x5EFE << 32 | four,  # ISATAP
        ),
    )


def spellings(address: Address, chance: Random) -> list[str]:
    """How else the same address may be written in a URL, if somebody reads it so."""
    if isinstance(address, IPv6Address):
        exploded = address.exploded
        with_four = f"{exploded[:30]}{ip_address(int(address) & 0xFFFFFFFF)}"
        zone = chance.choice(["eth0", "1", "25lo"])
        return [f"[{text}]" for text in (exploded, exploded.upper(), with_four)] + [
            f"[{address}%{zone}]",
            str(address),
        ]
    number, quad = int(address), str(address).split(".")
    tail = number & 0xFFFFFF
    return [
        str(number),
        hex(number),
        f"0{number:o}",
        f"{quad[0]}.{tail}",
        f"{quad[0]}.{quad[1]}.{number & 0xFFFF}",
        ".".join(f"0{int(part):o}" for part in quad),
        ".".join(hex(int(part)) if chance.random() < 0.5 else part for part in quad),
        ".".join(part.zfill(3) for part in quad),
        f"{address}.",
        f"{hex(int(quad[0])).upper()}.{tail:#x}",
        str(address).replace(".", "\u3002"),
        str(address).translate({ord("0") + n: 0xFF10 + n for n in range(10)}),
        f"{number + (1 << 32)}",
    ]

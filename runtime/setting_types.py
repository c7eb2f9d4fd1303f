"""How the value of a variable is written, and what it becomes: durations, networks, keys."""

import base64
import binascii
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from domain.delivery import parse_schedule

SECRETS_KEY_BYTES = 32

Network = IPv4Network | IPv6Network


def _parse_cidrs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())


def _parse_schedule(value: Any) -> Any:
    return parse_schedule(value) if isinstance(value, str) else value


def _parse_duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    durations = parse_schedule(value)
    if len(durations) != 1:
        raise ValueError('write one duration, like "15s"')
    return durations[0]


def _parse_ports(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


Cidrs = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_parse_cidrs)]
Schedule = Annotated[tuple[timedelta, ...], NoDecode, BeforeValidator(_parse_schedule)]
Duration = Annotated[timedelta, BeforeValidator(_parse_duration)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Ports = Annotated[tuple[Port, ...], NoDecode, BeforeValidator(_parse_ports)]


def decode_keys(text: str) -> tuple[bytes, ...]:
    """The keys of SECRETS_KEY, newest first. Raises ValueError."""
    try:
        keys = tuple(
            base64.b64decode(part.strip(), altchars=b"-_" if {*part} & {"-", "_"} else None)
            for part in text.split(",")
            if part.strip()
        )
    except binascii.Error:
        raise ValueError("a key is base64 text") from None
    if any(len(key) != SECRETS_KEY_BYTES for key in keys):
        raise ValueError(f"a key is base64 of {SECRETS_KEY_BYTES} bytes")
    return keys

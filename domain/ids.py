"""Ids: sortable by the time they were made, and told apart by a prefix.

An id is made once, by whoever first speaks of the thing, and is its idempotency key from then on.
"""

import os
import time
from uuid import UUID

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
ID_CHARACTERS = 26  # 130 bits in base 32: 48 of time, 80 of chance, 2 unused


def new_id(prefix: str) -> str:
    """`evt_01k…`: milliseconds since 1970, then 80 random bits, in Crockford's base 32."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    characters = [CROCKFORD[number >> 5 * place & 31] for place in range(ID_CHARACTERS)]
    return f"{prefix}_{''.join(reversed(characters))}"


def new_uuid() -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random bits."""
    random_bits = int.from_bytes(os.urandom(10))
    number = (time.time_ns() // 1_000_000) << 80 | random_bits
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    return str(UUID(int=number))

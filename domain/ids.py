"""Ids: sortable by the time they were made, and told apart by a prefix.

An id is made once, by whoever first speaks of the thing, and is its idempotency key from then on.
"""

import os
import threading
import time
from uuid import UUID

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
ID_CHARACTERS = 26  # 130 bits in base 32: 48 of time, 80 of chance, 2 unused


class _Clock:
    """Numbers of 48 bits of milliseconds and 80 of chance, each larger than the one before.

    Two made in the same millisecond keep their order: the second is the first plus a little.
    """

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def tick(self) -> int:
        with self._lock:
            number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10)) >> 1
            if number <= self._last or number >> 80 == self._last >> 80:
                number = self._last + 1 + int.from_bytes(os.urandom(4))
            self._last = number
            return number


_clock = _Clock()


def new_id(prefix: str) -> str:
    """`evt_01k…`: milliseconds since 1970, then 80 random bits, in Crockford's base 32.

    Within a process a later id is the larger one, so rows sort by the order they were made in.
    """
    number = _clock.tick()
    characters = [CROCKFORD[number >> 5 * place & 31] for place in range(ID_CHARACTERS)]
    return f"{prefix}_{''.join(reversed(characters))}"


def new_uuid() -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random bits."""
    number = _clock.tick()
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    return str(UUID(int=number))

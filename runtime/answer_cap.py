"""A cap on what is read of an answer, before anything parses it.

The head's and the body's own limits do not see what is neither: interim answers without end, a
chunk size of a million zeros. Parsing those at the speed of a network would take a whole core for
as long as the deadline lets it, and every other delivery would wait.
"""

import asyncio
from typing import Any, Final

from aiohttp.client_proto import ResponseHandler

# No honest head is near 48 KiB, and of a body 16 KiB are kept.
ANSWER_BYTES_MAX: Final = 64 * 1024
INTERIM_MAX: Final = 8  # Answers of 1xx that nobody has looked at yet.
SLICE: Final = 4 * 1024


def reader(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return CappedAnswer(loop)


class CappedAnswer(ResponseHandler):
    """aiohttp's reader of answers on one connection, which stops reading at the cap.

    It does not hang up: what was read may be all that we keep of a long body. Otherwise the
    exchange ends at its deadline, as one does whose receiver falls silent.
    """

    _room = ANSWER_BYTES_MAX

    def set_response_params(self, **params: Any) -> None:
        self._room = ANSWER_BYTES_MAX
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if not data:  # What was parsed in part is parsed on.
            super().data_received(data)
        for start in range(0, len(data), SLICE):
            part = data[start : start + SLICE]
            if len(part) > self._room or len(self._buffer) > INTERIM_MAX:
                self._stop_reading()
                return
            self._room -= len(part)
            super().data_received(part)

    def _stop_reading(self) -> None:
        self._room = 0
        self.force_close()  # This connection is not used again.
        self._pause_transport_reading()

    def _resume_transport_reading(self) -> None:
        if self._room:
            super()._resume_transport_reading()

"""Connections: uvicorn's HTTP/1.1, with an end to every wait for a client.

Uvicorn itself only ends connections that are idle between two requests. One that sends its request
a byte a minute, or never reads its answer, would keep its place for ever.
"""

import asyncio
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from runtime.settings import Settings

HEAD_BYTES_MAX: Final = 16_384
IDLE_S: Final = 5
UNREAD_S: Final = 30.0  # A client may leave an answer unread for this long.
GOODBYE_S: Final = 1.0
REFUSED_BEYOND: Final = 2  # Times as many connections as are served.
TOO_SLOW: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)
UNFINISHED: Final = (h11.IDLE, h11.SEND_BODY)


class ServerConfig(uvicorn.Config):
    """Everything that bounds a client, and nothing that tells it what it is talking to."""

    def __init__(self, app: Any, settings: Settings, *, let_end_s: int) -> None:
        super().__init__(
            app,
            host=settings.api_host,
            port=settings.api_port,
            http=Connection,
            ws="none",
            interface="asgi3",
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
            limit_concurrency=settings.api_connections_max,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=let_end_s,
            server_header=False,
            proxy_headers=bool(settings.api_trusted_proxies),
            forwarded_allow_ips=[str(network) for network in settings.api_trusted_proxies],
            log_config=None,
            access_log=False,
        )
        self.request_within_s = settings.api_request_timeout.total_seconds()
        self.connections_max = REFUSED_BEYOND * settings.api_connections_max


class Connection(H11Protocol):
    """One connection of a client, who may be anybody."""

    def __init__(self, config: ServerConfig, **more: Any) -> None:
        super().__init__(config, **more)
        self._request_within_s = config.request_within_s
        self._connections_max = config.connections_max
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._connections_max:
            transport.abort()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._deadline, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # The next request came with this one, in part.
            self._watch()
        self._flush_in_time()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._flush_in_time()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # In the middle of an answer there is nothing to say.
            self.transport.abort()

    def _watch(self) -> None:
        """One deadline for a whole request: each further byte must not buy more time."""
        if self.conn.their_state in UNFINISHED:
            if self._deadline is None:
                self._deadline = self.loop.call_later(self._request_within_s, self._give_up)
        elif self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        has_begun = self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]
        if has_begun and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(TOO_SLOW)
        self.transport.close()
        self.loop.call_later(GOODBYE_S, self.transport.abort)

    def _flush_in_time(self) -> None:
        """A connection that is closed still waits for its client to read what is left."""
        if self.transport.is_closing() and self.transport.get_write_buffer_size():
            self.loop.call_later(UNREAD_S, self.transport.abort)

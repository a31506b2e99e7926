"""One connection of a reader: bounds of its head, and an end for who makes no progress.

uvicorn bounds neither: its parser takes a head of any size, and a peer may send its head, send its
body or take its answer a byte an hour. Here a head has a size and a time, and bodies and answers a
lowest rate, which a telephone in a tunnel keeps and an attack that holds thousands of connections
does not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.gateway.web.rate_limits import reader_of

#: Bytes of a request's line and headers.
HEAD_BYTES_MAX: Final = 32 * 1024
#: From the connection, or from the last answer, to the end of the next head.
HEAD_SECONDS: Final = 20.0
#: How often a connection is looked at.
CHECK_SECONDS: Final = 5.0
#: What a body or an answer under way must move from one look to the next.
PROGRESS_BYTES_MIN: Final = 5_000
#: Looks without progress after which a connection is cut.
IDLE_LOOKS_MAX: Final = 6
#: Connections of one address that is not a trusted proxy's.
CONNECTIONS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection may take; see the constants."""

    head_seconds: float = HEAD_SECONDS
    look_seconds: float = CHECK_SECONDS
    idle_looks: int = IDLE_LOOKS_MAX


class Peers:
    """How many connections each address has; ``refused`` is told of each that is too many."""

    def __init__(
        self,
        trusted: Sequence[IPv4Network | IPv6Network] = (),
        refused: Callable[[], None] = lambda: None,
        at_once: int = CONNECTIONS_AT_ONCE,
    ) -> None:
        self._trusted = trusted
        self._refused = refused
        self._most = at_once
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> str | None:
        """The key by which the connection leaves; None where the address has all that it may."""
        key = reader_of(address)
        if self._open[key] >= self._most and not self._is_trusted(address):
            self._refused()
            return None
        self._open[key] += 1
        return key

    def leave(self, key: str) -> None:
        """A connection has ended."""
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


class Progress:
    """Whether something moves on a connection, from one look to the next."""

    def __init__(self, idle_looks_max: int) -> None:
        self._most = idle_looks_max
        self._unsent_bytes = 0
        self._received_bytes = 0
        self._answers = 0
        self._idle = 0

    def has_stopped(
        self, *, waits: bool, unsent_bytes: int, received_bytes: int, answers: int
    ) -> bool:
        """One look: whether it was the last one in a row at which the server waited in vain.

        ``waits`` is whether it waits for this peer at all; the other three are what is not sent
        yet, and what was received and answered since the connection began.
        """
        moved = (
            self._unsent_bytes - unsent_bytes >= PROGRESS_BYTES_MIN
            or received_bytes - self._received_bytes >= PROGRESS_BYTES_MIN
            or answers != self._answers
        )
        self._unsent_bytes = unsent_bytes
        self._received_bytes = received_bytes
        self._answers = answers
        self._idle = self._idle + 1 if waits and not moved else 0
        return self._idle >= self._most


class ReaderProtocol(HttpToolsProtocol):
    """uvicorn's protocol over llhttp, with the bounds above. A subclass sets ``peers``."""

    peers: Peers
    patience = Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Counts the connection and begins to watch it."""
        super().connection_made(transport)
        self._head_bytes = 0
        self._between_requests = True
        self._waits_since: float | None = self.loop.time()
        self._body_bytes = 0
        self._answers = 0
        self._progress = Progress(self.patience.idle_looks)
        self._too_long = False
        self._peer = self.peers.enter(self.client[0] if self.client else "")
        self._look = self.loop.call_later(self.patience.look_seconds, self._check)
        if self._peer is None:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._look.cancel()
        if self._peer is not None:
            self.peers.leave(self._peer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuses a head that does not end."""
        if self._between_requests:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._between_requests and self._head_bytes > HEAD_BYTES_MAX:
            self._refuse_head()

    def on_headers_complete(self) -> None:
        """Refuses a head that is too long, and else begins the request."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_BYTES_MAX:
            self._too_long = True
            # The parser turns it into its own error, and uvicorn that into `send_400_response`.
            raise ValueError("the head of a request is too long")
        self._waits_since = None
        self._head_bytes = 0
        self._between_requests = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Counts what came."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """From here on it is the head of another request."""
        super().on_message_complete()
        self._between_requests = True
        self._head_bytes = 0

    def on_response_complete(self) -> None:
        """Waits for the next head, and for what is left of a body that was not wanted."""
        follows = bool(self.pipeline)
        super().on_response_complete()
        self._answers += 1
        if not follows:
            self._waits_since = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        """Says what is wrong, in a word of ours, and closes."""
        if self.transport.is_closing():
            return
        if self._too_long:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
                b"content-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()

    def _check(self) -> None:
        self._look = self.loop.call_later(self.patience.look_seconds, self._check)
        if self._waits_since is not None and (
            self.loop.time() - self._waits_since > self.patience.head_seconds
        ):
            self.transport.abort()
            return
        unsent_bytes = self.transport.get_write_buffer_size()
        if self._progress.has_stopped(
            waits=unsent_bytes > 0 or self._waits_for_body() or self.transport.is_closing(),
            unsent_bytes=unsent_bytes,
            received_bytes=self._body_bytes,
            answers=self._answers,
        ):
            self.transport.abort()

    def _waits_for_body(self) -> bool:
        cycle: Any = self.cycle
        return (
            cycle is not None
            and cycle.more_body
            and not cycle.response_complete
            and not cycle.body
            and not self.flow.read_paused
        )

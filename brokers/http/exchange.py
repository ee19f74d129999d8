"""One HTTP/1.1 request and its answer over one stream (RFC 9112). h11 knows the protocol; here are the bounds.

Rules of this file
- What is sent was planned: nothing is added here, and h11 refuses a header with a line end a second time.
- The head of an answer is bounded in bytes and fields. Its body is handed on as it comes, never collected.
- Trailers are dropped: they come after everything that decided what the answer is.
- A stream is used again only if both sides finished cleanly and nothing is left over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import h11

from brokers.contract import BrokerError
from brokers.http.stream import failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from brokers.http.stream import Stream

MAX_HEAD = 64 << 10  # bytes of status line and headers: eight times what servers send at their worst
MAX_FIELDS = 256  # headers of an answer; h11 bounds bytes, this bounds work per header
MAX_INTERIM = 8  # 1xx answers before the final one; 103 is sent once or twice
_READ = 64 << 10
_END = h11.EndOfMessage()


class Exchange:
    """A request on its way. `start` sends it and reads the head, `body` yields the rest, `reusable` says what is left.

    Raises `BrokerError` `broken` and `timeout`. `began` tells whether any byte of an answer came: a request may be
    repeated only where none did.
    """

    def __init__(self, stream: Stream, seconds: float) -> None:
        self.stream = stream
        self.began = False
        self.status = 0
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._seconds = seconds
        self._protocol = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=MAX_HEAD)

    async def start(self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Send the request and read the answer's head."""
        try:
            head = h11.Request(method=method, target=target, headers=list(headers))
            sent = [self._protocol.send(head)]
            if body:
                sent.append(self._protocol.send(h11.Data(data=body)))
            sent.append(self._protocol.send(_END))
        except h11.LocalProtocolError:
            raise BrokerError("argument", argument="headers", why="the request cannot be written as HTTP") from None
        self.stream.write(b"".join(part for part in sent if part))
        await self._head()

    async def _head(self) -> None:
        for _ in range(MAX_INTERIM + 1):
            event = await self._event()
            if isinstance(event, h11.Response):
                break
            if not isinstance(event, h11.InformationalResponse):
                _broken()
        else:
            _broken()
        fields = event.headers.raw_items()
        if len(fields) > MAX_FIELDS or sum(len(name) + len(value) for name, value in fields) > MAX_HEAD:
            _broken()
        self.status, self.reason, self.headers = event.status_code, bytes(event.reason), fields

    async def body(self) -> AsyncGenerator[bytes, None]:
        """The body's bytes as they were sent, without the transfer coding, in pieces of at most 128 KiB."""
        pieces: list[bytes] = []
        while True:
            event = self._ready() if pieces else await self._event()
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
                continue
            # One-byte chunks would make one piece each, and every piece costs a scan: join what has arrived.
            if pieces:
                yield b"".join(pieces)
                pieces = []
            if isinstance(event, h11.EndOfMessage):
                return
            if event is not h11.NEED_DATA:
                _broken()

    async def _event(self) -> object:
        while (event := self._ready()) is h11.NEED_DATA:
            await self._receive()
        return event

    def _ready(self) -> object:
        """The next event; NEED_DATA where none is ready."""
        try:
            return self._protocol.next_event()
        except h11.RemoteProtocolError:
            _broken()

    async def _receive(self) -> None:
        try:
            data = await self.stream.read(_READ)
        except TimeoutError as error:
            raise failure(error, self._seconds) from None
        self.began = self.began or bool(data)
        self._protocol.receive_data(data)

    @property
    def reusable(self) -> bool:
        """Whether the stream may carry the next request."""
        done = self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE
        return done and not self._protocol.trailing_data[0] and self.stream.quiet


def _broken() -> NoReturn:
    raise BrokerError("broken") from None

"""Many clients at once: equal, small asyncio clients for frames and for HTTP, so that the servers make the difference.

Rules of this file
- A client sends its next request when the whole answer to the last one has come and was parsed.
- An answer that is not a success ends the measurement: an error is answered faster than a call.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Protocol, cast

from kv import wire

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS = 64
_SETTLE_SECONDS = 0.1


class Codec(Protocol):
    """Tells when an answer is whole."""

    greeted: bool

    def feed(self, data: bytes) -> bool:
        """Take bytes; true once the answer is whole. Raises `RuntimeError` for one that is no success."""


class Frames:
    """The keeper's answers. The first frame is its greeting."""

    greeted = True

    def __init__(self) -> None:
        self._decoder = wire.Decoder()

    def feed(self, data: bytes) -> bool:
        """See `Codec`."""
        self._decoder.feed(data)
        frame = self._decoder.next()
        if frame is None:
            return False
        answer = frame.header.get("ok")
        if "kv" not in frame.header and (not isinstance(answer, dict) or answer.get("status", 200) != 200):
            raise RuntimeError(f"the keeper answered {frame.header}")
        return True


class Responses:
    """HTTP answers with a length and JSON."""

    greeted = False

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> bool:
        """See `Codec`."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        fields = dict(field.split(b": ", 1) for field in head.lower().split(b"\r\n")[1:])
        if len(body) < int(fields[b"content-length"]):
            return False
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError("the rival answered no 200")
        json.loads(body)
        self._buffer = b""
        return True


class _Client(asyncio.Protocol):
    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._lost = False
        self._whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not codec.greeted:
            self._whole.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._lost = True
        if not self._whole.done():
            self._whole.set_exception(RuntimeError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        try:
            if self._codec.feed(data):
                self._whole.set_result(None)
        except RuntimeError as error:
            self._whole.set_exception(error)

    async def greeting(self) -> None:
        await self._whole

    async def ask(self, request: bytes, times: int) -> None:
        for _ in range(times):
            if self._lost:
                raise RuntimeError("the server hung up")
            self._whole = asyncio.get_running_loop().create_future()
            self._transport.write(request)
            await self._whole

    def close(self) -> None:
        self._transport.close()


async def throughput(path: str, codec: Callable[[], Codec], request: bytes, each: int) -> float:
    """Calls per second of `CLIENTS` clients at once, each making `each`. Connecting is not counted."""
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_unix_connection(lambda: _Client(codec()), path))[1] for _ in range(CLIENTS)]
    try:
        await asyncio.gather(*(client.greeting() for client in clients))
        start = time.perf_counter()
        await asyncio.gather(*(client.ask(request, each) for client in clients))
        return CLIENTS * each / (time.perf_counter() - start)
    finally:
        for client in clients:
            client.close()
        await asyncio.sleep(
            _SETTLE_SECONDS
        )  # the next crowd is of the same session, and a session's places are bounded


def call_frame(verb: str, args: dict[str, object]) -> bytes:
    """A request of the agents' socket."""
    return wire.encode({"verb": verb, "args": args, "client": "mcp"})

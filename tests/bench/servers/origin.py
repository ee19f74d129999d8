"""A lean TLS origin: HTTP/1.1, kept alive, one answer to everything with a credential, and `/bytes/N` of a block.

Usage: python origin.py CERTIFICATE BLOCK. Prints its port and serves until it is stopped.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import cast

_ITEMS = [{"id": number, "name": f"thing {number}", "state": "ready", "owner": None} for number in range(9)]
_BODY = json.dumps({"data": _ITEMS, "more": False}).encode()
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: origin\r\ncontent-length: %d\r\n\r\n"
ANSWER = _HEAD % len(_BODY) + _BODY
REFUSAL = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n"


class Serve(asyncio.Protocol):
    """One connection. Requests have no body. asyncio sets TCP_NODELAY on it."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._buffer = b""
        self._room = asyncio.Event()
        self._room.set()
        self._streams: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        """End."""
        for task in self._streams:
            task.cancel()

    def pause_writing(self) -> None:
        """The other side is behind."""
        self._room.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._room.set()

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            request, self._buffer = self._buffer[:end].lower(), self._buffer[end + 4 :]
            path = request.split(b" ", 2)[1]
            if b"\r\nauthorization: bearer " not in request:
                self._transport.write(REFUSAL)
            elif path.startswith(b"/bytes/"):
                task = asyncio.get_running_loop().create_task(self._stream(int(path[len("/bytes/") :])))
                self._streams.add(task)
                task.add_done_callback(self._streams.discard)
            else:
                self._transport.write(ANSWER)

    async def _stream(self, size: int) -> None:
        self._transport.write(_STREAM % size)
        piece = 64 << 10
        for sent in range(0, size, piece):
            await self._room.wait()
            at = sent % (len(self._block) - piece)
            self._transport.write(self._block[at : at + min(piece, size - sent)])
            await asyncio.sleep(0)


async def main(certificate: str, block: bytes) -> None:
    """Serve."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Serve(block), "127.0.0.1", 0, ssl=context, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))

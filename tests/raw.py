"""A client of the wire that keeps to its frames and to nothing else: what a program that means no good would speak."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from world import World


class Raw:
    """One connection to a keeper's socket. `body` is that of the frame received last. Use as a context manager."""

    def __init__(self, world: World, channel: str = "agent", seconds: float = 60) -> None:
        self.body = b""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(seconds)
        self.socket.connect(f"{world.vault}.d/{channel}.sock")
        self.greeting = self.receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, verb: str, args: dict[str, Any], body: bytes = b"", folder: int | None = None) -> None:
        """One request."""
        text = json.dumps({"verb": verb, "args": args, "client": "cli", "body": len(body)}).encode()
        data = struct.pack(">I", len(text)) + text + body
        sent = 0 if folder is None else socket.send_fds(self.socket, [data], [folder])
        self.socket.sendall(data[sent:])

    def receive(self) -> dict[str, Any]:
        """The next frame's header."""
        size = struct.unpack(">I", self._exactly(4))[0]
        header: dict[str, Any] = json.loads(self._exactly(size))
        self.body = self._exactly(int(header.get("body", 0)))
        return header

    def ask(
        self, verb: str, args: dict[str, Any] | None = None, body: bytes = b"", folder: int | None = None
    ) -> dict[str, Any]:
        """The header of the answer to one request."""
        self.send(verb, args or {}, body, folder)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The header of the next answer; events before it are passed over."""
        while "event" in (header := self.receive()):
            pass
        return header

    def code(self, verb: str, args: dict[str, Any] | None = None, body: bytes = b"", folder: int | None = None) -> str:
        """The code of the error that a request ends in, "" where it ends in none."""
        return str(self.ask(verb, args, body, folder).get("error", {}).get("code", ""))

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self.socket.recv(min(1 << 20, size - len(data)))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)

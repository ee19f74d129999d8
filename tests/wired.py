"""A client of the keeper's sockets that has read WIRE.md and shares no code with kv's own."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from world import World

HEADER, BODY = 256 << 10, 17 << 20  # WIRE.md's bounds


class Wire:
    """A client that has read WIRE.md and nothing else."""

    def __init__(self, world: World, channel: str = "agent") -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(60)
        try:
            self._socket.connect(f"{world.vault}.d/{channel}.sock")
            self._frame()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, verb: str, args: Mapping[str, object] | None = None, **more: object) -> dict[str, Any]:
        """The answer's header, its members put in their place."""
        text = json.dumps({"verb": verb, "args": dict(args or {}), "client": "cli", **more}).encode()
        self._socket.sendall(struct.pack(">I", len(text)) + text)
        header, body = self._frame()
        if header.get("members") == "body":
            header["ok"] = json.loads(body)
        return header

    def _frame(self) -> tuple[dict[str, Any], bytes]:
        size = struct.unpack(">I", self._exactly(4))[0]
        assert size <= HEADER
        header = json.loads(self._exactly(size))
        assert header.get("body", 0) <= BODY
        return header, self._exactly(header.get("body", 0))

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self._socket.recv(size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)

"""A hostile neighbour of PostgreSQL's: it passes on what client and server say, and adds messages of its own."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def parameter(name: bytes, value: bytes) -> bytes:
    """The message ParameterStatus."""
    told = name + b"\0" + value + b"\0"
    return b"S" + struct.pack(">I", len(told) + 4) + told


def notification(payload: bytes) -> bytes:
    """The message NotificationResponse."""
    told = struct.pack(">I", 1) + b"channel\0" + payload + b"\0"
    return b"A" + struct.pack(">I", len(told) + 4) + told


def row(*cells: bytes) -> bytes:
    """The message DataRow."""
    told = struct.pack(">H", len(cells)) + b"".join(struct.pack(">I", len(cell)) + cell for cell in cells)
    return b"D" + struct.pack(">I", len(told) + 4) + told


def columns(*names: bytes) -> bytes:
    """The message RowDescription, of columns of text."""
    told = struct.pack(">H", len(names))
    told += b"".join(name + b"\0" + struct.pack(">IHIhiH", 0, 0, 25, -1, -1, 0) for name in names)
    return b"T" + struct.pack(">I", len(told) + 4) + told


class Relay:
    """Listens on `port` for clients of the server at `real`.

    Before each RowDescription comes `before_rows`; what the server says is passed on as `changed` gives it back.
    """

    def __init__(
        self,
        real: int,
        before_rows: Callable[[], Iterable[bytes]] = tuple,
        changed: Callable[[bytes], bytes] = lambda message: message,
    ) -> None:
        self._real, self._before_rows, self._changed = real, before_rows, changed
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._listener, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._real))
                self._open += [client, server]
                threading.Thread(target=_copy, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(client, server), daemon=True).start()

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        held = b""
        with suppress(OSError):
            while portion := server.recv(65536):
                held += portion
                while len(held) > 4 and len(held) > (size := struct.unpack(">I", held[1:5])[0]):
                    message, held = held[: size + 1], held[size + 1 :]
                    if message[:1] == b"T":
                        for more in self._before_rows():
                            client.sendall(more)
                    client.sendall(self._changed(message))


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while portion := source.recv(65536):
            target.sendall(portion)
        target.shutdown(socket.SHUT_WR)

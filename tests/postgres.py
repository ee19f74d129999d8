"""As much of a PostgreSQL server as psql needs to log in with a password and to print one row."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Self

_SSL = struct.pack(">ii", 8, 80877103)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">i", len(body) + 4) + body


_READY = _message(b"Z", b"I")
_WELCOME = _message(b"R", struct.pack(">i", 0)) + _message(b"S", b"server_version\x0015.0\0") + _READY
_ROW = (
    _message(b"T", struct.pack(">h", 1) + b"answer\0" + struct.pack(">ihihih", 0, 0, 23, 4, -1, 0))
    + _message(b"D", struct.pack(">hi", 1, 2) + b"42")
    + _message(b"C", b"SELECT 1\0")
    + _READY
)


class Postgres:
    """Listens on loopback. Use as a context manager; `logins` are the passwords that were given."""

    def __init__(self, password: bytes) -> None:
        self.logins: list[bytes] = []
        self._password = password
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as stream, contextlib.suppress(struct.error, OSError):
            while (head := stream.read(8)) == _SSL or head[4:] == struct.pack(">i", 80877104):  # TLS, or GSSAPI
                client.sendall(b"N")
            stream.read(struct.unpack(">i", head[:4])[0] - 8)
            client.sendall(_message(b"R", struct.pack(">i", 3)))  # a password in clear
            _, given = self._next(stream.read)
            self.logins.append(given.rstrip(b"\0"))
            if self.logins[-1] != self._password:
                client.sendall(_message(b"E", b"SFATAL\0C28P01\0Mwrong password\0\0"))
                return
            client.sendall(_WELCOME)
            while True:
                kind, _ = self._next(stream.read)
                if kind != b"Q":
                    return
                client.sendall(_ROW)

    @staticmethod
    def _next(read: object) -> tuple[bytes, bytes]:
        assert callable(read)
        kind = read(1)
        (size,) = struct.unpack(">i", read(4))
        return kind, read(size - 4)

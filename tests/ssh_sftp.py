"""The server's half of SFTP (draft-ietf-secsh-filexfer-02) in a few lines: a test can say what no real one says."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko import Channel

_INIT, _CLOSE, _OPENDIR, _READDIR, _REALPATH = 1, 4, 11, 12, 16
_VERSION, _STATUS, _HANDLE, _NAME = 2, 101, 102, 104
_OK, EOF = 0, 1


def packet(kind: int, body: bytes) -> bytes:
    """A packet with its length."""
    return struct.pack(">IB", len(body) + 1, kind) + body


def text(value: bytes) -> bytes:
    """A string with its length."""
    return struct.pack(">I", len(value)) + value


def names(number: bytes, *found: bytes) -> bytes:
    """The answer to a READDIR: these names, without attributes."""
    entries = b"".join(text(name) + text(b"") + struct.pack(">I", 0) for name in found)
    return packet(_NAME, number + struct.pack(">I", len(found)) + entries)


def status(number: bytes, code: int) -> bytes:
    """The answer to anything: how it went."""
    return packet(_STATUS, number + struct.pack(">I", code) + text(b"") + text(b""))


def folder(listed: Callable[[bytes], bytes]) -> Callable[[Channel], None]:
    """A server on which every path is a folder. `listed` makes the whole answer to each READDIR out of its number."""

    def serve(channel: Channel) -> None:
        while True:
            (size,) = struct.unpack(">I", _exactly(channel, 4))
            request = _exactly(channel, size)
            kind, number = request[0], request[1:5]
            if kind == _INIT:
                answer = packet(_VERSION, struct.pack(">I", 3))
            elif kind == _REALPATH:
                answer = names(number, request[9:])
            elif kind == _OPENDIR:
                answer = packet(_HANDLE, number + text(b"h"))
            elif kind == _READDIR:
                answer = listed(number)
            else:
                answer = status(number, _OK)
            channel.sendall(answer)

    return serve


def _exactly(channel: Channel, size: int) -> bytes:
    found = b""
    while len(found) < size:
        if not (piece := channel.recv(size - len(found))):
            raise EOFError
        found += piece
    return found

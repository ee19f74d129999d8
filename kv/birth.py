"""Bring a keeper up: start a fresh process (`kv.spawn`), then hand it the key.

Rules of this file
- Standard library only. Only a sheltered process (`kv.harden`) with the opened root key calls this.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from kv import wire
from kv.errors import KvError, RemoteError
from kv.paths import Runtime
from kv.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Mapping

_LINE_MAX = 1 << 16


def birth(vault: str, key: bytes | memoryview, options: Mapping[str, object] | None = None) -> dict[str, object]:
    """Start the keeper of `vault` with its 32-byte root key; what it says once it serves.

    That is `pid`, and how it found the files: `generation`, `seen`, `read_only`, `alarms`, `recovered`.

    `options` are members of `kv.daemon.options.Options`. Raises `KvError("keeper-start")` and what the keeper reports.
    """
    import json

    Runtime(vault).make()
    line = json.dumps({**(options or {}), "vault": vault, "wire": wire.VERSION}).encode() + b"\n"
    try:
        with spawn("kv.daemon.main") as peer:
            peer.sendall(line)
            peer.sendall(key)
            peer.shutdown(socket.SHUT_WR)
            told = _line(peer)
    except (OSError, KvError):
        raise KvError("keeper-start", why="it did not come up") from None
    answer = json.loads(told) if told else {}
    if isinstance(answer.get("error"), dict):
        raise RemoteError(answer["error"])
    if not isinstance(answer.get("ok"), dict):
        raise KvError("keeper-start", why="it ended before it served")
    ok: dict[str, object] = answer["ok"]
    return ok


def _line(peer: socket.socket) -> bytes:
    data = b""
    try:
        while not data.endswith(b"\n") and len(data) < _LINE_MAX and (chunk := peer.recv(4096)):
            data += chunk
    except OSError:
        return b""
    return data

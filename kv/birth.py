"""Bring a keeper up: start a fresh process, make sure that it is that process, then hand it the key.

Rules of this file
- Standard library only. Only a sheltered process (`kv.harden`) with the opened root key calls this.
- A process is readable to others of our uid between `exec` and its `prctl`. So the one that is started is given no
  descriptor that the key will travel through (it could be taken by `/proc/PID/fd` or `pidfd_getfd` meanwhile).
  It hardens and forks; its child, never readable, connects to a socket of ours, and the kernel tells us that the
  peer is a child of the process we started. Only then the key is written.
- `python -I`, an absolute path, an environment rebuilt from a list: nothing of the caller's reaches the keeper.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

from kv import wire
from kv.errors import KvError, RemoteError
from kv.paths import Runtime, socket_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECONDS = 30.0  # a start takes a quarter of one; a cold disk under load some
_PEERCRED = struct.Struct("3i")
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
_LINE_MAX = 1 << 16


def birth(vault: str, key: bytes | memoryview, options: Mapping[str, object] | None = None) -> dict[str, object]:
    """Start the keeper of `vault` with its 32-byte root key; what it says once it serves: `{"pid", "generation"}`.

    `options` are members of `kv.daemon.options.Options`. Raises `KvError("keeper-start")` and what the keeper reports.
    """
    import json

    runtime = Runtime(vault)
    runtime.make()
    line = json.dumps({**(options or {}), "vault": vault, "wire": wire.VERSION}).encode() + b"\n"
    with _listener(runtime) as (listener, path):
        process = _spawn(path)
        try:
            with _accept(listener, process) as peer:
                peer.sendall(line)
                peer.sendall(key)
                peer.shutdown(socket.SHUT_WR)
                told = _line(peer)
        finally:
            # The process we started has forked and waits for us to hang up; it holds nothing.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_SECONDS)
    answer = json.loads(told) if told else {}
    if isinstance(answer.get("error"), dict):
        raise RemoteError(answer["error"])
    if not isinstance(answer.get("ok"), dict):
        raise KvError("keeper-start", why="it ended before it served")
    ok: dict[str, object] = answer["ok"]
    return ok


@contextlib.contextmanager
def _listener(runtime: Runtime) -> Iterator[tuple[socket.socket, str]]:
    import secrets

    path = os.path.join(runtime.folder, f"birth-{secrets.token_hex(4)}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    address, descriptor = socket_address(path)
    try:
        listener.bind(address)
        listener.listen(4)
        yield listener, path
    finally:
        listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if descriptor is not None:
            os.close(descriptor)


def _spawn(path: str) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        [sys.executable, "-I", "-m", "kv.daemon.main", path],
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        close_fds=True,
    )


def _accept(listener: socket.socket, process: subprocess.Popen[bytes]) -> socket.socket:
    """The connection of the started process's child. Others that connect are hung up on."""
    import time

    deadline = time.monotonic() + _SECONDS
    while (left := deadline - time.monotonic()) > 0:
        listener.settimeout(min(left, 0.2))
        try:
            peer, _ = listener.accept()
        except TimeoutError:
            if process.poll() is not None:
                break
            continue
        pid, uid, _ = _PEERCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        if uid == os.geteuid() and _parent(pid) == process.pid:
            peer.settimeout(_SECONDS)
            return peer
        peer.close()
    process.kill()
    raise KvError("keeper-start", why="it did not come up")


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return 0
    return int(stat[stat.rindex(b")") + 2 :].split()[1])


def _line(peer: socket.socket) -> bytes:
    data = b""
    try:
        while not data.endswith(b"\n") and len(data) < _LINE_MAX and (chunk := peer.recv(4096)):
            data += chunk
    except OSError:
        return b""
    return data

"""Bring a keeper up: start a fresh process, make sure that it is that process, then hand it the key.

Rules of this file
- Standard library only. Only a sheltered process (`kv.harden`) with the opened root key calls this.
- A process is readable to others of our uid between `exec` and its `prctl`; a descriptor that it had then may have been
  taken (`/proc/PID/fd`, `pidfd_getfd`). So the key never travels through one: the process we started hardens first,
  makes a new pair of sockets, gives one end to its child, which was never readable, and sends us the other.
- Whose word that is, the kernel says: the message carries its sender's pid (SCM_CREDENTIALS), and the pid of our own
  child is nobody else's before we have waited for it. A pid read from `/proc` or from a connection made earlier would
  not do: whoever stops both sides in between can have it reused.
- `python -I`, an absolute path, an environment rebuilt from a list: nothing of the caller's reaches the keeper.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

from kv import wire
from kv.errors import KvError, RemoteError
from kv.paths import Runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 30.0  # a start takes a quarter of one; a cold disk under load some
_CREDENTIALS = struct.Struct("3i")  # `struct ucred`: pid, uid, gid
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "XDG_STATE_HOME")
_LINE_MAX = 1 << 16


def birth(vault: str, key: bytes | memoryview, options: Mapping[str, object] | None = None) -> dict[str, object]:
    """Start the keeper of `vault` with its 32-byte root key; what it says once it serves.

    That is `pid`, and how it found the files: `generation`, `seen`, `read_only`, `alarms`, `recovered`.

    `options` are members of `kv.daemon.options.Options`. Raises `KvError("keeper-start")` and what the keeper reports.
    """
    import json

    Runtime(vault).make()
    line = json.dumps({**(options or {}), "vault": vault, "wire": wire.VERSION}).encode() + b"\n"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.settimeout(_SECONDS)
        process = _spawn(theirs.fileno())
        theirs.close()
        try:
            with _private(ours, process.pid) as peer:
                peer.sendall(line)
                peer.sendall(key)
                peer.shutdown(socket.SHUT_WR)
                told = _line(peer)
        except (OSError, KvError):
            process.kill()
            raise KvError("keeper-start", why="it did not come up") from None
        finally:
            process.wait()
    answer = json.loads(told) if told else {}
    if isinstance(answer.get("error"), dict):
        raise RemoteError(answer["error"])
    if not isinstance(answer.get("ok"), dict):
        raise KvError("keeper-start", why="it ended before it served")
    ok: dict[str, object] = answer["ok"]
    return ok


def _spawn(descriptor: int) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        [sys.executable, "-I", "-m", "kv.daemon.main", str(descriptor)],
        pass_fds=(descriptor,),
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _private(ours: socket.socket, pid: int) -> socket.socket:
    """The end that process `pid` sent: the only one whose word counts. Raises `KvError`, `OSError`."""
    size = struct.calcsize("i")
    while True:
        data, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(size) + socket.CMSG_SPACE(_CREDENTIALS.size))
        if not data:
            raise KvError("keeper-start", why="it ended before it served")
        found = {kind: content for level, kind, content in ancillary if level == socket.SOL_SOCKET}
        descriptors = [number for (number,) in struct.iter_unpack("i", found.get(socket.SCM_RIGHTS, b""))]
        sender = _CREDENTIALS.unpack(found[socket.SCM_CREDENTIALS]) if socket.SCM_CREDENTIALS in found else None
        if sender == (pid, os.geteuid(), os.getegid()) and len(descriptors) == 1:
            peer = socket.socket(fileno=descriptors[0])
            peer.settimeout(_SECONDS)
            return peer
        for descriptor in descriptors:  # somebody took the other end and speaks for himself
            os.close(descriptor)


def _line(peer: socket.socket) -> bytes:
    data = b""
    try:
        while not data.endswith(b"\n") and len(data) < _LINE_MAX and (chunk := peer.recv(4096)):
            data += chunk
    except OSError:
        return b""
    return data

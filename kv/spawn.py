"""Start a process of ours, and hold the only line to it: how a keeper, and what a keeper starts, come to be.

Rules of this file
- Standard library only. Both sides are here: `spawn` in who starts, `become` in what is started.
- A process is readable to others of our uid between `exec` and its `prctl`; a descriptor that it had then may have been
  taken (`/proc/PID/fd`, `pidfd_getfd`). So nothing secret travels through one: the process we started hardens first,
  makes a new pair of sockets, gives one end to its child, which was never readable, and sends us the other.
- Whose word that is, the kernel says: the message carries its sender's pid (SCM_CREDENTIALS), and the pid of our own
  child is nobody else's before we have waited for it. A pid read from `/proc` or from a connection made earlier would
  not do: whoever stops both sides in between can have it reused.
- `python -I`, an absolute path, an environment rebuilt from a list: nothing of the caller's reaches what is started.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys

from kv.errors import KvError
from kv.harden import harden

SECONDS = 30.0  # a start takes a quarter of one; a cold disk under load some
_CREDENTIALS = struct.Struct("3i")  # `struct ucred`: pid, uid, gid
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")


def spawn(module: str, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """Start `python -I -m MODULE`; our end of the line to its hardened child. Raises `KvError`, `OSError`.

    What was started is waited for; its child is nobody's but its own, and ends when it sees the line end.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.settimeout(SECONDS)
        process = _start(module, theirs.fileno(), kind)
        theirs.close()
        try:
            return _line(ours, process.pid)
        except (OSError, KvError):
            process.kill()
            raise
        finally:
            process.wait()


def become(arguments: list[str]) -> socket.socket:
    """Be what `spawn` started, from its `arguments`: our end of the line, in a child whose memory was never readable.

    Ends the process where it cannot be protected. `kv.harden.refuse_tracer` is for the caller, who can tell somebody.
    """
    starter = socket.socket(fileno=int(arguments[1]))
    try:
        harden()
    except KvError:
        os._exit(1)
    line, end = socket.socketpair(socket.AF_UNIX, int(arguments[2]))
    if os.fork():
        # The starter knows this process, not its child: it is this one that has to hand over the other end.
        socket.send_fds(starter, [b"."], [end.fileno()])
        os._exit(0)
    starter.close()
    end.close()
    os.setsid()
    return line


def _start(module: str, descriptor: int, kind: int) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        [sys.executable, "-I", "-m", module, str(descriptor), str(int(kind))],
        pass_fds=(descriptor,),
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _line(ours: socket.socket, pid: int) -> socket.socket:
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
            line = socket.socket(fileno=descriptors[0])
            line.settimeout(SECONDS)
            return line
        for descriptor in descriptors:  # somebody took the other end and speaks for himself
            os.close(descriptor)

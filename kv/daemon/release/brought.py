"""What a request of `kv run` brings along: the socket to the caller's terminal and streams, a folder, words.

Rules of this file
- One descriptor comes with the request, the control socket; the folder waits in it, sent before. What the caller sends
  after that is the runner's to read.
- A folder is known by its inode: the path that a card shows is the kernel's word for the very folder that is used.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from typing import TYPE_CHECKING

from kv.daemon.release.command import Place
from kv.errors import KvError

if TYPE_CHECKING:
    from contextlib import ExitStack

_PACKET = 64  # bytes: what comes with the folder


def take(descriptor: int | None, held: ExitStack) -> tuple[socket.socket, int]:
    """The control socket, and what was sent over it as the folder; `held` closes both. Raises `bad-argument`."""
    bad = KvError("bad-argument", argument="control", why="it is a SOCK_SEQPACKET socket with a folder in it")
    if descriptor is None or not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        raise bad
    control = held.enter_context(socket.socket(fileno=os.dup(descriptor)))
    if (control.family, control.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
        raise bad
    try:
        data, found, _, _ = socket.recv_fds(control, _PACKET, 1, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
    except OSError:
        raise bad from None
    for each in found:
        held.callback(os.close, each)
    if len(found) != 1 or not _is_folder(data):
        raise bad
    return control, found[0]


def place(folder: int) -> Place:
    """Where an open folder is. May hang, where its file system does. Raises `KvError("run-folder")`.

    Its path has to lead there for everybody: in a mount namespace of its own an agent can give any folder the path
    of any other, and the card shows the path.
    """
    path = os.readlink(f"/proc/self/fd/{folder}")
    try:
        found, same = os.fstat(folder), os.stat(path)
    except OSError:
        raise KvError("run-folder", why="it was removed, or is none") from None
    if not stat.S_ISDIR(found.st_mode) or not path.isprintable():
        raise KvError("run-folder", why="it is none, or its path cannot be shown")
    if (found.st_dev, found.st_ino) != (same.st_dev, same.st_ino):
        raise KvError("run-folder", why="its path leads elsewhere here: it is another container's, or was moved")
    return Place(path, (found.st_dev, found.st_ino))


def words(body: bytes, count: int) -> list[bytes]:
    """The NUL-ended words of a body, exactly `count`. Raises `KvError("bad-frame")`."""
    found = body.split(b"\0")
    if found.pop() or len(found) != count:
        raise KvError("bad-frame", why="the words of the body do not add up")
    return found


def _is_folder(data: bytes) -> bool:
    try:
        return bool(json.loads(data) == {"folder": True})
    except ValueError:
        return False

"""Where output goes: a descriptor that the caller gave, written without ever waiting for its reader.

Rules of this file
- O_NONBLOCK is never set on a descriptor that was given: it belongs to the open file, and the caller's other programs
  have the same one. A pipe or a terminal is opened once more instead; where that cannot be, a pipe that polls writable
  takes PIPE_BUF bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import stat
from typing import Protocol


class Sink(Protocol):
    """Takes bytes. `fileno` is what to poll for room."""

    def fileno(self) -> int:
        """The descriptor."""

    def write(self, data: memoryview) -> int:
        """How many bytes were taken, 0 for none just now. Raises `OSError` when nobody will ever read them."""

    def close(self) -> None:
        """Give the descriptor back."""


def sink(descriptor: int) -> Sink:
    """The sink for `descriptor`, which it owns from now on."""
    mode, writable = os.fstat(descriptor).st_mode, _writable(descriptor)
    if stat.S_ISSOCK(mode):
        return SocketSink(socket.socket(fileno=descriptor))
    if (stat.S_ISFIFO(mode) or os.isatty(descriptor)) and writable:
        with contextlib.suppress(OSError):  # its reader is gone, or it is another user's
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            os.close(descriptor)
            return FileSink(own)
    # A file never waits; and what cannot be written says so at the first try.
    return FileSink(descriptor, None if stat.S_ISREG(mode) or not writable else select.PIPE_BUF)


def _writable(descriptor: int) -> bool:
    """Opening once more must not give what the descriptor does not: one end of a pipe leads to the other."""
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


class FileSink:
    """A file, pipe or terminal. `most` is for what may block: so many bytes at a time, when it has room."""

    def __init__(self, descriptor: int, most: int | None = None) -> None:
        self._descriptor = descriptor
        self._most = most
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)

    def fileno(self) -> int:
        """See `Sink.fileno`."""
        return self._descriptor

    def write(self, data: memoryview) -> int:
        """See `Sink.write`."""
        if self._most is not None and not self._room.poll(0):
            return 0
        try:
            return os.write(self._descriptor, data[: self._most])
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """See `Sink.close`."""
        os.close(self._descriptor)


class SocketSink:
    """A connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def fileno(self) -> int:
        """See `Sink.fileno`."""
        return self._socket.fileno()

    def write(self, data: memoryview) -> int:
        """See `Sink.write`."""
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """See `Sink.close`."""
        self._socket.close()

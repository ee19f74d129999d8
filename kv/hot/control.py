"""The client's line to a run: our streams go out, and what happens to the program comes in.

Rules of this file
- This side holds no secret and judges nothing: it is the caller's own end, and may be anybody's.
"""

from __future__ import annotations

import contextlib
import os
import socket

from kv.errors import KvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_PACKET = 64 << 10
_LIMITS = ("AS", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "STACK")


class Control:
    """A pair of sockets: `theirs` travels with the request, and then belongs to the runner."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def fileno(self) -> int:
        """What to poll."""
        return self._ours.fileno()

    def send(self, message: dict[str, object], descriptors: Sequence[int] = ()) -> None:
        """Send a message; a run that is over needs none."""
        import json

        try:
            socket.send_fds(self._ours, [json.dumps(message).encode()], descriptors)
        except OSError:
            return

    def receive(self) -> dict[str, object]:
        """The next message. Raises `KvError("interrupted")` at the end of the run without its last word."""
        import json

        while True:
            try:
                data = self._ours.recv(_MAX_PACKET)
            except ConnectionResetError:  # it had not read all that we said: what it said comes after this
                continue
            except OSError:
                data = b""
            if not data:
                raise KvError("interrupted", why="the runner ended")
            message: dict[str, object] = json.loads(data)
            return message

    def hand_over(self) -> None:
        """Let go of the other end: from here on the runner has it, or nobody."""
        self.theirs.close()

    def hang_up(self) -> None:
        """End it from another thread: whoever receives here sees the end."""
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """The end of the run, if it still runs."""
        self._ours.close()
        self.theirs.close()


def folder() -> int:
    """The working folder, as a descriptor. Raises `KvError("run-folder")`."""
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KvError("run-folder", why=os.strerror(error.errno or 0).lower()) from None


def process() -> dict[str, object]:
    """What a program inherits from the process that starts it: mask, limits, ignored signals."""
    import resource
    import signal

    umask = os.umask(0)
    os.umask(umask)
    kinds = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
    return {
        "umask": umask,
        "limits": {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in _LIMITS},
        "ignored": [int(kind) for kind in kinds if signal.getsignal(kind) is signal.SIG_IGN],
    }

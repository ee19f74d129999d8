"""The keeper's line to one run: the order with its values comes in, what became of it goes out.

Rules of this file
- The keeper may end (a lock) while a program runs: what is sent to nobody is lost, and nothing waits for it. Its last
  word may be a kill, and is read all the same.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from kv.errors import KvError
from kv.runner.messages import KILL, MAX_HEADER, ORDER, spell

if TYPE_CHECKING:
    from kv.runner.messages import Lent, Order

_SECONDS = 30.0
_PREFIX = 4
_MAX_KILL = 256


class Given:
    """An order whole: what to start, in which folder (a descriptor), and the values it is lent."""

    def __init__(self, order: Order, values: dict[Lent, bytes], folder: int) -> None:
        self.order = order
        self.values = values
        self.folder = folder

    @property
    def names(self) -> frozenset[str]:
        """The secrets that this run is lent."""
        return frozenset(lent.name for lent in self.values)


class KeeperLine:
    """Our end of the pair that the keeper made for this run."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.settimeout(_SECONDS)
        self._incoming = bytearray()
        self.ended = False

    def fileno(self) -> int:
        """What to poll until `ended`."""
        return self._socket.fileno()

    def receive(self) -> Given:
        """The order. Raises `KvError`: bad-frame, gone, run-folder."""
        folder = -1
        try:
            first, descriptors, _, _ = socket.recv_fds(self._socket, 1, 4, socket.MSG_CMSG_CLOEXEC)
            if not first or len(descriptors) != 1:
                raise KvError("bad-frame", why="an order has one descriptor")
            folder = descriptors[0]
            size = int.from_bytes(first + self._exactly(_PREFIX - 1), "big")
            if size > MAX_HEADER:
                raise KvError("bad-frame", why="the order's length is out of bounds")
            order = ORDER.read(self._exactly(size))
            values = _split(order.lent, self._exactly(sum(lent.size for lent in order.lent)))
        except OSError:
            raise KvError("gone") from None
        if len(values) != len(order.lent):
            raise KvError("bad-frame", why="a secret is lent twice in one way")
        found = os.fstat(folder)
        if (found.st_dev, found.st_ino) != order.folder:
            raise KvError("run-folder", why="it is not the one that was approved")
        self._socket.settimeout(0)
        return Given(order, values, folder)

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view, filled = memoryview(data), 0
        while filled < size:
            count = self._socket.recv_into(view[filled:])
            if not count:
                raise KvError("gone")
            filled += count
        return data

    def silent(self) -> bool:
        """Whether the keeper is there and has said nothing since the order: it still wants the program started."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def tell(self, message: dict[str, object]) -> None:
        """Say what became of the run, or nothing where nobody listens any more."""
        data = spell(message)
        with contextlib.suppress(OSError):
            self._socket.send(len(data).to_bytes(_PREFIX, "big") + data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def killed(self) -> bool:
        """Read what is there: whether the keeper wants the program ended. Sets `ended` at the end of the line."""
        try:
            data = self._socket.recv(_MAX_KILL)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self._incoming += data
        if not data or len(self._incoming) > _MAX_KILL:
            self.ended = True
            return False
        size = int.from_bytes(self._incoming[:_PREFIX], "big")
        if len(self._incoming) < _PREFIX + size:
            return False
        try:
            return KILL.read(self._incoming[_PREFIX : _PREFIX + size]).kill
        except KvError:
            self.ended = True
            return False


def _split(lent: list[Lent], data: bytearray) -> dict[Lent, bytes]:
    """Each secret with its value: they come one after the other."""
    values, at = {}, 0
    for one in lent:
        values[one] = bytes(data[at : at + one.size])
        at += one.size
    return values

"""The client's line to one run: its streams come in, then signals and sizes; what happens to the program goes out.

Rules of this file
- The client's end is the run's: whoever asked for the program is gone then, and so is the program.
- The client may be slow or not read at all: nothing waits for it but what it is told, and of that a bounded amount.
"""

from __future__ import annotations

import array
import contextlib
import os
import select
import socket
from collections import deque
from typing import TYPE_CHECKING

from kv.errors import KvError
from kv.runner.messages import FROM_CLIENT, HELLO, MAX_PACKET, spell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kv.runner.messages import Hello, Message

SECONDS = 10.0  # for a first word: until then somebody has been promised a start that may never come
_MOST = 64  # messages that wait for a client which does not read
_MOST_DESCRIPTORS = 4
_LINE = 400  # characters of a line that is said


class Control:
    """Our end of the client's pair (`SOCK_SEQPACKET`)."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._waiting: deque[bytes] = deque()
        self._first: tuple[bytes, list[int]] = b"", []
        self.ended = False

    def fileno(self) -> int:
        """What to poll, for writing too while `waiting`."""
        return self._socket.fileno()

    def gone(self) -> bool:
        """Whether the client is, whatever it has said before."""
        poller = select.poll()
        poller.register(self._socket, 0)
        return self.ended or bool(poller.poll(0))

    @property
    def waiting(self) -> bool:
        """Whether something is still to be sent."""
        return bool(self._waiting) and not self.ended

    def wait(self) -> None:
        """Wait for the client's first word. What is left unread would cut off our answer."""
        self._socket.settimeout(SECONDS)
        with contextlib.suppress(KvError):
            self._first = self._packet()
        self._socket.settimeout(0)

    def hello(self) -> tuple[Hello, list[int]]:
        """The client's first word and its descriptors. Raises `KvError`: bad-frame, gone."""
        data, descriptors = self._first
        if not data:
            raise KvError("gone")
        hello = HELLO.read(data)
        if len(descriptors) != hello.streams.count("given") + (hello.terminal is not None):
            raise KvError("bad-frame", why="the streams do not match their descriptors")
        if hello.terminal is None and "tty" in hello.streams:
            raise KvError("bad-frame", why="a stream of a terminal, and no terminal")
        return hello, descriptors

    def _packet(self) -> tuple[bytes, list[int]]:
        numbers = array.array("i")
        room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * numbers.itemsize)
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(MAX_PACKET, room, socket.MSG_CMSG_CLOEXEC)
        except (TimeoutError, ConnectionError):
            return b"", []
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise KvError("bad-frame", why="the packet is too large")
        return data, list(numbers)

    def messages(self) -> Iterator[Message]:
        """What has come in. Sets `ended` at the client's end, and at what is no message of a client."""
        while not self.ended:
            try:
                data, descriptors = self._packet()
                message = FROM_CLIENT.read(data)
            except BlockingIOError:
                return
            except (KvError, OSError):
                self.ended = True
                return
            for descriptor in descriptors:
                os.close(descriptor)
            yield message

    def tell(self, message: dict[str, object]) -> None:
        """Send, as soon as the client takes it. Who never reads is told how it ended, and little before that."""
        if len(self._waiting) < _MOST or message.keys() & {"ended", "error"}:
            self._waiting.append(spell(message))
        self.send()

    def say(self, lines: Sequence[str]) -> None:
        """Have the client print lines about the run, if any. They hold nothing but what redaction has passed."""
        if lines:
            self.tell({"say": [line[:_LINE] for line in lines]})

    def send(self) -> None:
        """Send what waits, as far as the client takes it."""
        try:
            while self.waiting:
                self._socket.send(self._waiting[0], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                self._waiting.popleft()
        except BlockingIOError:
            return
        except OSError:
            self.ended = True

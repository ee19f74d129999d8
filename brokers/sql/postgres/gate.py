"""What stands between libpq and the network: a pair of sockets, so that no more comes in than we let in.

Rules of this file
- libpq reads for as long as there is something to read, into one buffer as large as the message says it is. Beside a
  fast server one call of it took 700 MB (measured). Through the gate it gets one portion a call, and all are counted.
- What passes is not looked at, but for a login without TLS (`look`): else TLS is spoken between libpq and the server.
- The address was dialled by libpq. The gate takes the place of its socket, number for number, and dials nothing.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import socket
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PORTION = 64 << 10  # bytes that are let in at once: a few turns of libpq's own buffer
_UNHEARD = 2  # times that an idle session's server may wake the loop: one is the echo of what was just read


class Gate:
    """Takes the place of the connected socket `number`. `received` counts what was let in, `look` sees it before."""

    def __init__(self, number: int) -> None:
        self.received = 0
        self.look: Callable[[bytes], None] | None = None
        self._number = number
        self._server = socket.socket(fileno=os.dup(number))
        self._server.setblocking(False)  # noqa: FBT003 - the standard library's signature
        theirs, self._ours = socket.socketpair()
        for end in (theirs, self._ours):
            end.setblocking(False)  # noqa: FBT003 - as above
        os.dup2(theirs.fileno(), number, inheritable=False)
        theirs.close()
        self._out = b""
        self._in = b""
        self._left = array.array("i", [0])
        self._coming: asyncio.Future[None] | None = None
        self._watching: asyncio.AbstractEventLoop | None = None
        self._unheard = 0

    @property
    def left(self) -> bool:
        """Whether libpq has not yet read all that was let in."""
        if self._in:
            return True
        fcntl.ioctl(self._number, termios.FIONREAD, self._left)
        return self._left[0] > 0

    @property
    def quiet(self) -> bool:
        """Whether the server has said nothing: of an idle session it is nothing good."""
        if self._in or self._out:
            return False
        try:
            self._server.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def push(self) -> bool:
        """Send on what libpq has written. False while the network takes no more. Raises `OSError`."""
        while True:
            if not self._out:
                try:
                    self._out = self._ours.recv(_PORTION)
                except BlockingIOError:
                    return True
                if not self._out:
                    return True
            size = len(self._out)
            try:
                self._out = self._out[self._server.send(self._out) :]
            except BlockingIOError:
                return False
            if not self._out and size < _PORTION:
                return True

    async def let_in(self) -> None:
        """Wait for something from the server and let one portion of it in, an end as well. Sends on meanwhile."""
        while not self._in:
            pushed = self.push()
            try:
                data = self._server.recv(_PORTION)
            except BlockingIOError:
                await self._until(sent=not pushed)
                continue
            if not data:
                self._ours.shutdown(socket.SHUT_WR)
                return
            self.received += len(data)
            if self.look is not None:
                self.look(data)
            self._in = data
        self.pass_on()

    def pass_on(self) -> None:
        """Give libpq what it had no room for."""
        try:
            self._in = self._in[self._ours.send(self._in) :]
        except BlockingIOError:
            return

    async def send_on(self) -> None:
        """Send on what libpq has written, all of it, but not past something that the server has to say."""
        while not self.push():
            await self._until(sent=True)
            if not self.quiet:
                return

    async def _until(self, *, sent: bool) -> None:
        """Until the server has something to say; or takes more, where that is waited for."""
        if sent:
            self._unwatch()  # there is one place for who waits for a socket
            await ready(self._server.fileno(), writing=True)
            return
        loop = asyncio.get_running_loop()
        if self._watching is None:
            loop.add_reader(self._server.fileno(), self._says)
            self._watching = loop
        self._coming, self._unheard = loop.create_future(), 0
        try:
            await self._coming
        finally:
            self._coming = None

    def _says(self) -> None:
        """The server says something. It is watched on between two waits, as each change is a system call."""
        if self._coming is not None:
            if not self._coming.done():
                self._coming.set_result(None)
            return
        self._unheard += 1
        if self._unheard > _UNHEARD:
            self._unwatch()

    def _unwatch(self) -> None:
        if self._watching is not None:
            self._watching.remove_reader(self._server.fileno())
            self._watching = None

    def close(self) -> None:
        """Close both sides of ours; libpq closes its own."""
        self._unwatch()  # first: the number may be another's next
        self._server.close()
        self._ours.close()


async def ready(number: int, *, writing: bool, reading: bool = True) -> None:
    """Until the socket `number` can be read, or written where that is waited for."""
    loop = asyncio.get_running_loop()
    seen: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not seen.done():
            seen.set_result(None)

    if reading:
        loop.add_reader(number, wake)
    if writing:
        loop.add_writer(number, wake)
    try:
        await seen
    finally:
        if reading:
            loop.remove_reader(number)
        if writing:
            loop.remove_writer(number)


async def connected(number: int) -> bool:
    """Wait until the socket `number` is connected; False where it is not."""
    with socket.socket(fileno=os.dup(number)) as end:
        await ready(end.fileno(), writing=True, reading=False)
        try:
            end.getpeername()
        except OSError:
            return False
        return True

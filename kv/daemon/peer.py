"""One connection on a socket of the keeper: frames in, frames out, one descriptor with each request.

Rules of this file
- asyncio's transports drop ancillary data, so this reads with `recvmsg` on a plain non-blocking socket.
- At most one descriptor is taken from a message; any other is closed at once, so nobody fills our table.
- What comes in is held in a room that all connections of a channel share: 448 clients with a body of 17 MiB each
  are no way to 8 GB.
- A request's bytes have a deadline from the first one on; between requests a connection may be silent for a while.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING

from kv import wire
from kv.daemon import frames
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Coroutine

_CHUNK = 1 << 18
_FD_SIZE = array.array("i").itemsize
_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7)
_ANCILLARY = socket.CMSG_SPACE(4 * _FD_SIZE) + socket.CMSG_SPACE(_UCRED.size)
_FRAME_SECONDS = 60.0  # 17 MiB over a Unix socket take milliseconds; half a frame for a minute is no client
_SEND_SECONDS = 60.0  # a client that does not read its answer


class Room:
    """Bytes that requests may hold while they come in, over all connections of a channel."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> None:
        """Raises `KvError("busy")` when there is no room."""
        if size > self._left:
            raise KvError("busy", what="requests that are still coming in")
        self._left -= size

    def give_back(self, size: int) -> None:
        """What was taken, when the request has been read or its client is gone."""
        self._left += size


class Peer:
    """A connected client. `folder` is the descriptor that came with the last request, owned by whoever takes it."""

    def __init__(self, sock: socket.socket, room: Room, idle: float) -> None:
        self._socket = sock
        self._room = room
        self._idle = idle
        self._taken = 0
        self._decoder = wire.Decoder(frames.parse_header)
        self._loop = asyncio.get_running_loop()
        self._folder: int | None = None
        self._senders: set[int] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._working: asyncio.Task[object] | None = None
        self._watched = False

    async def receive(self) -> wire.Frame | None:
        """The next frame, or None at a clean end. Raises `KvError("bad-frame")`, `TimeoutError`, `OSError`."""
        deadline = self._loop.time() + self._idle
        while (frame := self._decoder.next()) is None:
            begins = self._decoder.empty
            data = await self._read(deadline)
            if begins:
                deadline = self._loop.time() + _FRAME_SECONDS
            if not data:
                if self._decoder.empty:
                    return None
                raise KvError("bad-frame", why="the stream ended inside a frame")
            self._room.take(len(data))
            self._taken += len(data)
            self._decoder.feed(data)
        self._give_back()
        return frame

    def _give_back(self) -> None:
        self._room.give_back(self._taken)
        self._taken = 0

    def take_folder(self) -> int | None:
        """The descriptor that came along; the caller closes it."""
        folder, self._folder = self._folder, None
        return folder

    @property
    def senders(self) -> frozenset[int]:
        """The processes that sent what has come so far, for a socket with `SO_PASSCRED`."""
        return frozenset(self._senders)

    async def send(self, header: dict[str, object], body: bytes = b"") -> None:
        """Send one frame. Raises `answer-size`, `TimeoutError`, `OSError` for a client that does not take it."""
        data = frames.encode(header, body)
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            async with asyncio.timeout(_SEND_SECONDS):
                await self._loop.sock_sendall(self._socket, memoryview(data)[sent:])

    async def unless_gone(self, work: Coroutine[object, object, None]) -> None:
        """Run `work`; when the client hangs up meanwhile, the task that runs here is cancelled with it."""
        self._working = asyncio.current_task()
        self._watch()
        try:
            await work
        finally:
            self._working = None

    def hang_up(self) -> None:
        """End the conversation from this side; whoever reads here sees the stream's end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up."""
        self._unwatch()  # first: the next connection may be given this one's descriptor number
        self._give_back()
        if (folder := self.take_folder()) is not None:
            os.close(folder)
        self._socket.close()

    def _watch(self) -> None:
        """Be told when the socket has something to say; left on between requests, as each change is a system call."""
        if not self._watched:
            self._loop.add_reader(self._socket.fileno(), self._readable)
            self._watched = True

    def _unwatch(self) -> None:
        if self._watched:
            self._loop.remove_reader(self._socket.fileno())
            self._watched = False

    def _readable(self) -> None:
        if self._working is not None:
            self._look_after()
        elif self._waiter is None:
            self._unwatch()  # nobody reads just now; whoever does next looks at the socket first
        elif not self._waiter.done():
            self._waiter.set_result(None)

    def _look_after(self) -> None:
        """Something came while a request is under way: the end of its client, or a next request, which waits."""
        try:
            gone = not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        self._unwatch()  # either way: what lies there would wake us in every round of the loop
        if gone and self._working is not None:
            self._working.cancel()

    async def _read(self, deadline: float) -> bytes:
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(_CHUNK, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                await self._until_readable(deadline)
                continue
            self._take(ancillary)
            return data

    async def _until_readable(self, deadline: float) -> None:
        """Raises `TimeoutError` at the loop's time `deadline`."""
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_at(deadline, _expire, waiter)
        self._watch()
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _take(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        """One descriptor, and who sent these bytes where the kernel was asked to say so."""
        found = array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found.frombytes(data[: len(data) - len(data) % _FD_SIZE])
            elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS and len(data) == _UCRED.size:
                self._senders.add(_UCRED.unpack(data)[0])
        for descriptor in found:
            if self._folder is None:
                self._folder = descriptor
            else:
                os.close(descriptor)


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())

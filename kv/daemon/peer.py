"""One connection on a socket of the keeper: frames in, frames out, one descriptor with each request.

Rules of this file
- asyncio's transports drop ancillary data, so this reads with `recvmsg` on a plain non-blocking socket.
- At most one descriptor is taken from a message; any other is closed at once, so nobody fills our table.
- What comes in is held in a room that all connections of a channel share: 448 clients with a body of 17 MiB each
  are no way to 8 GB.
- A request's bytes have a deadline from the first one on; between requests a connection may be silent for a while.
- What needs no waiting is answered in the very callback that read it, one request a round of the loop; a task runs
  only for what has to be waited for.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from kv import wire
from kv.daemon import frames
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kv.daemon.requests import Request

_CHUNK = 1 << 16  # from 128 KiB on, malloc maps and unmaps pages for every read, of however few bytes
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


class _Waiting(NamedTuple):
    """A task that waits in `Peer.next`."""

    begin: Callable[[wire.Frame], Request | None]
    found: asyncio.Future[Request | None]


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
        self._waiting: _Waiting | None = None
        self._working: asyncio.Task[object] | None = None
        self._watched = False
        self.ended = False  # the stream, between two requests
        self._unsent = memoryview(b"")
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def next(self, begin: Callable[[wire.Frame], Request | None]) -> Request | None:
        """The next request that has to be waited for. None at a clean end (`ended`), or where there is more to `flush`.

        `begin` is given every frame as it comes; it answers by `post`, or hands back such a request. Raises
        `KvError`: `bad-frame`, `busy`; `TimeoutError`, `OSError`, and what `begin` raises.
        """
        self._waiting = _Waiting(begin, self._loop.create_future())
        self._expect()
        self._watch()
        try:
            return await self._waiting.found
        finally:
            self._waiting = None

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

    def post(self, header: dict[str, object], body: bytes = b"") -> None:
        """Send of one frame what goes at once; the rest is for `flush`. Raises `answer-size`, `OSError`."""
        data = frames.encode(header, body)
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._unsent = memoryview(data)[sent:]

    async def send(self, header: dict[str, object], body: bytes = b"") -> None:
        """Send one frame. Raises `answer-size`, `TimeoutError`, `OSError` for a client that does not take it."""
        self.post(header, body)
        await self.flush()

    async def flush(self) -> None:
        """Send the rest of what was posted. Raises `TimeoutError`, `OSError` for a client that does not take it."""
        if self._unsent:
            rest, self._unsent = self._unsent, memoryview(b"")
            async with asyncio.timeout(_SEND_SECONDS):
                await self._loop.sock_sendall(self._socket, rest)

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
        if self._timer is not None:
            self._timer.cancel()
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
        waiting = self._waiting
        if self._working is not None:
            self._look_after()
        elif waiting is None:
            self._unwatch()  # nobody takes requests just now; whoever does next watches again
        elif not waiting.found.done():
            try:
                self._take_in(waiting)
            except Exception as error:  # noqa: BLE001 - whoever waits raises it
                waiting.found.set_exception(error)

    def _take_in(self, waiting: _Waiting) -> None:
        """Begin with one frame; read once, if there is none yet."""
        frame = self._decoder.next()
        if frame is None:
            begins = self._decoder.empty
            try:
                data = self._read()
            except BlockingIOError:
                return
            if not data:
                if not begins:
                    raise KvError("bad-frame", why="the stream ended inside a frame")
                self.ended = True
                waiting.found.set_result(None)
                return
            self._room.take(len(data))
            self._taken += len(data)
            self._decoder.feed(data)
            frame = self._decoder.next()
            if frame is None:
                if begins:
                    self._expire_in(_FRAME_SECONDS)
                return
        self._give_back()
        request = waiting.begin(frame)
        if request is not None or self._unsent:
            waiting.found.set_result(request)
        else:
            self._expect()

    def _expect(self) -> None:
        """Wait for a request. Of what is here of it already no poll will tell."""
        begun = not self._decoder.empty
        self._expire_in(_FRAME_SECONDS if begun else self._idle)
        if begun:
            self._loop.call_soon(self._readable)

    def _expire_in(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._expire)

    def _expire(self) -> None:
        """The timer is not set anew for each request, so there may be time left when it goes off."""
        self._timer = None
        if self._waiting is None or self._waiting.found.done():
            return  # whoever waits next sets it
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._expire)
        else:
            self._waiting.found.set_exception(TimeoutError())

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

    def _read(self) -> bytes:
        data, ancillary, _, _ = self._socket.recvmsg(_CHUNK, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        if ancillary:
            self._take(ancillary)
        return data

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

"""The two sockets: accept, identify, find a place, hand on what comes in.

Rules of this file
- Order: peer uid, then a place among the bounded, then the caller from the kernel, then the frame, then the
  proof, and only then the verb.
- What needs no waiting is answered without a task (`Dispatch.begin`); a task of the connection's sees to the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING

from kv import __version__, wire
from kv.daemon import caller as callers
from kv.daemon import descriptors
from kv.daemon.dispatch import Dispatch
from kv.daemon.peer import Peer, Room
from kv.daemon.places import Places
from kv.daemon.presence import Presence
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kv.daemon.dispatch import Handlers
    from kv.daemon.requests import Request
    from kv.model import Caller

# Between requests. A client connects for a request; a person at a prompt takes their time, on the socket of prompts.
_IDLE_SECONDS = {"agent": 60.0, "kv": 600.0}
_BACKLOG = 1024
_ROOM = 256 << 20  # bytes of requests that are coming in, on one channel: fifteen of the largest at once
_PEERCRED = struct.Struct("3i")


class Server:
    """Serves one channel. `handlers` answer each `Exchange`."""

    def __init__(
        self,
        channel: str,
        sock: socket.socket,
        handlers: Handlers,
        log: Callable[[str], str],
        uids: frozenset[int],
    ) -> None:
        self._channel = channel
        self._socket = sock
        self._handlers = handlers
        self._log = log
        self._uids = uids
        self._room = Room(_ROOM)
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = Places(channel)

    async def serve(self) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(self._socket)
            except OSError:
                await asyncio.sleep(0.05)  # out of descriptors: the connections that end will make room
                continue
            sock.setblocking(False)  # noqa: FBT003 - the standard library's
            task = loop.create_task(self._serve_peer(sock))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(0)  # a full backlog is accepted without waiting, and others want to be heard meanwhile

    async def close(self) -> None:
        """Stop listening and end every connection."""
        self._socket.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve_peer(self, sock: socket.socket) -> None:
        peer = Peer(sock, self._room, _IDLE_SECONDS[self._channel])
        try:
            # A peer that breaks off in any way has no more to be told; what its call did is in the audit.
            with contextlib.suppress(OSError, TimeoutError):
                await self._converse(peer, sock)
        finally:
            peer.close()

    async def _converse(self, peer: Peer, sock: socket.socket) -> None:
        try:
            who, presence = self._admit(sock)
        except KvError as error:
            await peer.send({"error": error.as_wire()})
            return
        session = presence.caller.session if presence else who.session  # places are counted by claim
        with self._places.taken(session):
            try:
                echo = {"echo": presence.word} if presence else {}
                await peer.send({"kv": wire.VERSION, "version": __version__, "pid": os.getpid(), **echo})
                dispatch = Dispatch(self._channel, self._handlers, self._log, peer, who, presence)
                await self._requests(peer, session, dispatch)
            finally:
                if presence:
                    presence.close()

    def _admit(self, sock: socket.socket) -> tuple[Caller, Presence | None]:
        _, uid, _ = _PEERCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        if uid not in self._uids:
            raise KvError("denied", rule="peer", why="this socket is another user's", help="")
        if self._channel == "agent" and descriptors.scarce(sock.fileno()):
            raise KvError("busy", what="descriptors")
        self._places.ensure_any()
        who = callers.identify(sock, self._channel)
        presence = None if who.process.pid else Presence.of(sock, self._channel)
        try:
            self._places.ensure(presence.caller.session if presence else who.session)
        except KvError:
            if presence:
                presence.close()
            raise
        return who, presence

    async def _requests(self, peer: Peer, session: str, dispatch: Dispatch) -> None:
        def begin(frame: wire.Frame) -> Request | None:
            request = dispatch.begin(frame)
            self._places.silent(peer, session)  # anew: behind those that have been silent since before
            return request

        while not peer.ended:
            await peer.flush()
            self._places.silent(peer, session)
            try:
                request = await peer.next(begin)
            except KvError as error:
                await peer.send({"error": error.as_wire()})
                return
            finally:
                self._places.speaks(peer)
            if request is not None:
                work = dispatch.answer(request)
                del request  # a body is the verb's from here on, to keep or to let go
                await peer.unless_gone(work)


def listen(path: str) -> socket.socket:
    """A listening socket at `path`, 0600. The caller holds the vault's lock, so what lies there is stale."""
    from kv.paths import socket_address

    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    address, descriptor = socket_address(path)
    try:
        sock.bind(address)
        os.chmod(path, 0o600)
    finally:
        if descriptor is not None:
            os.close(descriptor)
    sock.listen(_BACKLOG)
    return sock

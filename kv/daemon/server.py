"""The two sockets: accept, identify, decode, dispatch, answer.

Rules of this file
- Order: peer uid, then a place among the bounded, then the caller from the kernel, then the frame, then the
  proof, and only then the verb.
- What needs no waiting is answered without a task (`Talk.begin`); a task of the connection's sees to the rest.
- Whatever goes wrong ends in one error of the closed list; a defect is logged by its place, never by its text.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kv import __version__, wire
from kv.daemon import caller as callers
from kv.daemon import descriptors
from kv.daemon.peer import Peer, Room
from kv.daemon.places import Places
from kv.daemon.presence import Presence
from kv.daemon.requests import decode
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kv.daemon.requests import Request
    from kv.model import Caller

# Between requests. A client connects for a request; a person at a prompt takes their time, on the socket of prompts.
_IDLE_SECONDS = {"agent": 60.0, "kv": 600.0}
_BACKLOG = 1024
_ROOM = 256 << 20  # bytes of requests that are coming in, on one channel: fifteen of the largest at once
_PEERCRED = struct.Struct("3i")
_ENDS = (TimeoutError, ConnectionError)  # the client no longer listens
_DEFECTS = (OSError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, AttributeError)


@dataclass(slots=True)
class Exchange:
    """What a verb's handler is given: the request, who made it, and a way to say something before the answer."""

    request: Request
    caller: Caller
    conversation: Conversation
    folder: int | None
    say: Callable[[dict[str, object]], Awaitable[None]]
    after: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)  # let go when the answer has been sent

    def close(self) -> None:
        """The answer has been sent."""
        self.after.close()
        if self.folder is not None:
            os.close(self.folder)


@dataclass(slots=True)
class Conversation:
    """What the gate remembers of one client: the nonce for one proof, and a proof held for what follows."""

    nonce: bytes | None = None
    held: Held | None = None


class Held(NamedTuple):
    """A proof that is good for more than the request it came with: for these verbs, on the same connection."""

    kind: str
    until: float
    verbs: frozenset[str]


Answer = tuple[dict[str, object], bytes]


class Handlers(Protocol):
    """What answers: `verbs.Verbs`."""

    def waits(self, verb: str) -> bool:
        """Whether its answer has to be waited for."""

    def at_once(self, exchange: Exchange) -> Answer:
        """The answer of a verb that does not wait. Raises `KvError`."""

    async def handle(self, exchange: Exchange) -> Answer:
        """The answer of one that does. Raises `KvError`."""


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
        self.channel = channel
        self._socket = sock
        self.handlers = handlers
        self.log = log
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
        peer = Peer(sock, self._room, _IDLE_SECONDS[self.channel])
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
                await self._requests(peer, session, Talk(self, peer, who, presence))
            finally:
                if presence:
                    presence.close()

    def _admit(self, sock: socket.socket) -> tuple[Caller, Presence | None]:
        _, uid, _ = _PEERCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        if uid not in self._uids:
            raise KvError("denied", rule="peer", why="this socket is another user's", help="")
        if self.channel == "agent" and descriptors.scarce(sock.fileno()):
            raise KvError("busy", what="descriptors")
        self._places.ensure_any()
        who = callers.identify(sock, self.channel)
        presence = None if who.process.pid else Presence.of(sock, self.channel)
        try:
            self._places.ensure(presence.caller.session if presence else who.session)
        except KvError:
            if presence:
                presence.close()
            raise
        return who, presence

    async def _requests(self, peer: Peer, session: str, talk: Talk) -> None:
        def begin(frame: wire.Frame) -> Request | None:
            request = talk.begin(frame)
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
                work = talk.answer(request)
                del request  # a body is the verb's from here on, to keep or to let go
                await peer.unless_gone(work)


class Talk:
    """One client's requests, one after another: decoded, handled, answered."""

    def __init__(self, server: Server, peer: Peer, who: Caller, presence: Presence | None) -> None:
        self._peer = peer
        self._who = who
        self._relay: Caller | None = None
        self._presence = presence
        self._channel = server.channel
        self._handlers = server.handlers
        self._log = server.log
        self._conversation = Conversation()

    def begin(self, frame: wire.Frame) -> Request | None:
        """Answer a request that needs no waiting; hand another back. Raises `KvError` that ends the talk, `OSError`."""
        try:
            word = frame.header.pop("echo", None)
            if self._presence is not None:
                claim, self._presence = self._presence, None  # it is asked once, whatever comes of it
                self._who = claim.caller if claim.shown(word, self._peer.senders) else self._who
            request = decode(frame.header, frame.body, self._channel)
        except KvError as error:
            if error.code == "bad-frame":
                raise
            self._peer.post({"error": error.as_wire()})
            return None
        if self._handlers.waits(request.name):
            return request
        exchange = self._exchange(request)
        try:
            ok, body = self._handlers.at_once(exchange)
            self._peer.post({"ok": ok}, body)
        except _ENDS:
            raise
        except (KvError, *_DEFECTS) as error:
            self._peer.post(self._failure(error))
        finally:
            exchange.close()
        return None

    async def answer(self, request: Request) -> None:
        """Answer a request that `begin` handed back. Raises `OSError`, `TimeoutError` for a client that is gone."""
        exchange = self._exchange(request)
        del request
        try:
            ok, body = await self._handlers.handle(exchange)
            await self._peer.send({"ok": ok}, body)
        except _ENDS:
            raise
        except (KvError, *_DEFECTS) as error:
            await self._peer.send(self._failure(error))
        finally:
            exchange.close()

    def _exchange(self, request: Request) -> Exchange:
        who = self._who
        if request.relay and self._channel == "agent":
            who = self._relay = self._relay or callers.as_relay(who)
        return Exchange(request, who, self._conversation, self._peer.take_folder(), self._peer.send)

    def _failure(self, error: Exception) -> dict[str, object]:
        if not isinstance(error, KvError):
            error = KvError("internal", id=self._log(_place(error)))
        return {"error": error.as_wire()}


def _place(defect: BaseException) -> str:
    """Where a defect arose: the exception's class, file and line. Never its text, which may quote a value."""
    trace = defect.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(defect).__name__
    return f"{type(defect).__name__} {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


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

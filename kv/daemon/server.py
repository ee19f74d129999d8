"""The two sockets: accept, identify, decode, dispatch, answer.

Rules of this file
- Order: peer uid, then a place among the bounded, then the caller from the kernel, then the frame, then the
  proof, and only then the verb.
- `kv.sock` has places of its own: a flood of calls must not keep the person from `kv lock` and `kv deny`.
- Whatever goes wrong ends in one error of the closed list; a defect is logged by its place, never by its text.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from kv import __version__, wire
from kv.daemon import caller as callers
from kv.daemon import descriptors
from kv.daemon.peer import Peer, Room
from kv.daemon.presence import Presence
from kv.daemon.requests import decode
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kv.daemon.requests import Request
    from kv.model import Caller

_PLACES = {"agent": 448, "kv": 64}  # connections at once; `descriptors` has the sum
_PER_SESSION = {"agent": 64, "kv": 32}  # of them one session may hold: sub-agents in parallel, not a flood
# Between requests. A client connects for a request; a person at a prompt takes their time, on the socket of prompts.
_IDLE_SECONDS = {"agent": 60.0, "kv": 600.0}
_BACKLOG = 1024
_ROOM = 256 << 20  # bytes of requests that are coming in, on one channel: fifteen of the largest at once
_PEERCRED = struct.Struct("3i")


@dataclass(slots=True)
class Exchange:
    """What a verb's handler is given: the request, who made it, and a way to say something before the answer."""

    request: Request
    caller: Caller
    conversation: Conversation
    folder: int | None
    say: Callable[[dict[str, object]], Awaitable[None]]
    after: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)  # let go when the answer has been sent


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


class Server:
    """Serves one channel. `handle` answers an `Exchange`."""

    def __init__(
        self,
        channel: str,
        sock: socket.socket,
        handle: Callable[[Exchange], Awaitable[Answer]],
        log: Callable[[str], str],
        uids: frozenset[int],
    ) -> None:
        self._channel = channel
        self._socket = sock
        self._handle = handle
        self._log = log
        self._uids = uids
        self._room = Room(_ROOM)
        self._tasks: set[asyncio.Task[None]] = set()
        self._served = 0  # connections that were admitted
        self._held: Counter[str] = Counter()  # of them each session's
        self._silent: OrderedDict[Peer, str] = OrderedDict()  # between requests, longest first

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
        self._served += 1
        self._held[session] += 1
        try:
            echo = {"echo": presence.word} if presence else {}
            await peer.send({"kv": wire.VERSION, "version": __version__, "pid": os.getpid(), **echo})
            await self._requests(peer, who, session, presence)
        finally:
            if presence:
                presence.close()
            self._served -= 1
            self._held[session] -= 1
            if not self._held[session]:
                del self._held[session]

    def _make_room(self, session: str | None = None) -> bool:
        """Hang up on the connection (of that session) which has been silent longest: who waits to speak comes first."""
        oldest = next((peer for peer, whose in self._silent.items() if session in {None, whose}), None)
        if oldest is None:
            return False
        del self._silent[oldest]
        oldest.hang_up()
        return True

    def _admit(self, sock: socket.socket) -> tuple[Caller, Presence | None]:
        _, uid, _ = _PEERCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
        if uid not in self._uids:
            raise KvError("denied", rule="peer", why="this socket is another user's", help="")
        if self._channel == "agent" and descriptors.scarce(sock.fileno()):
            raise KvError("busy", what="descriptors")
        if self._served >= _PLACES[self._channel] and not self._make_room():
            raise KvError("busy", what="connections")
        who = callers.identify(sock, self._channel)
        presence = None if who.process.pid else Presence.of(sock, self._channel)
        session = presence.caller.session if presence else who.session
        if self._held[session] >= _PER_SESSION[self._channel] and not self._make_room(session):
            if presence:
                presence.close()
            raise KvError("busy", what="connections of one session")
        return who, presence

    async def _requests(self, peer: Peer, who: Caller, session: str, presence: Presence | None) -> None:
        conversation = Conversation()
        while True:
            try:
                self._silent[peer] = session
                try:
                    frame = await peer.receive()
                finally:
                    self._silent.pop(peer, None)
                if frame is None:
                    return
                word = frame.header.pop("echo", None)
                if presence is not None:
                    claim, presence = presence, None  # it is asked once, whatever comes of it
                    who = claim.caller if claim.shown(word, peer.senders) else who
                request = decode(frame.header, frame.body, self._channel)
            except KvError as error:
                await peer.send({"error": error.as_wire()})
                if error.code in {"bad-frame", "busy"}:
                    return
                continue
            asks = callers.as_relay(who) if request.relay and self._channel == "agent" else who
            exchange = Exchange(request, asks, conversation, peer.take_folder(), peer.send)
            del frame, request  # a body is the verb's from here on, to keep or to let go
            try:
                await peer.unless_gone(self._answer(peer, exchange))
            finally:
                exchange.after.close()
                if exchange.folder is not None:
                    os.close(exchange.folder)
                del exchange

    async def _answer(self, peer: Peer, exchange: Exchange) -> None:
        try:
            ok, body = await self._handle(exchange)
            await peer.send({"ok": ok}, body)
        except (TimeoutError, ConnectionError):
            raise
        except KvError as error:
            await peer.send({"error": error.as_wire()})
        except (OSError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, AttributeError) as defect:
            place = self._log(_place(defect))
            await peer.send({"error": KvError("internal", id=place).as_wire()})


def _place(defect: BaseException) -> str:
    """Where a defect arose: the exception's class, file and line. Never its text, which may quote a value."""
    trace = defect.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(defect).__name__
    return f"{type(defect).__name__} {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


def with_proof(caller: Caller, kind: str) -> Caller:
    """The caller, with the kind of proof that came with this very request."""
    return replace(caller, proven=kind)


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

"""One client's requests, one after another: decoded, handled, answered.

Rules of this file
- Whatever goes wrong ends in one error of the closed list; a defect is logged by its place, never by its text.
- A body is the verb's from the moment it is handled, to keep or to let go.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kv.daemon import caller as callers
from kv.daemon.requests import decode
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kv import wire
    from kv.daemon.peer import Peer
    from kv.daemon.presence import Presence
    from kv.daemon.requests import Request
    from kv.model import Caller

_ENDS = (TimeoutError, ConnectionError)  # the client no longer listens
_DEFECTS = (OSError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, AttributeError)


class Say(Protocol):
    """A way to send one frame."""

    async def __call__(self, header: dict[str, object], body: bytes = b"") -> None:
        """Raises `OSError`, `TimeoutError` for a client that does not take it."""


@dataclass(slots=True)
class Exchange:
    """What a verb's handler is given: the request, who made it, and a way to say something before the answer."""

    request: Request
    caller: Caller
    conversation: Conversation
    folder: int | None
    say: Say
    after: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)  # let go when the answer has been sent

    def close(self) -> None:
        """Let go of what was held until the answer had been sent, the folder too."""
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


class Dispatch:
    """One client's requests, one after another: decoded, handled, answered."""

    def __init__(  # noqa: PLR0913, PLR0917 - a connection has these parts
        self,
        channel: str,
        handlers: Handlers,
        log: Callable[[str], str],
        peer: Peer,
        who: Caller,
        presence: Presence | None,
    ) -> None:
        self._channel = channel
        self._handlers = handlers
        self._log = log
        self._peer = peer
        self._who = who
        self._relay: Caller | None = None
        self._presence = presence
        self._conversation = Conversation()

    def begin(self, frame: wire.Frame) -> Request | None:
        """Answer a request that needs no waiting; hand another back. Raises `KvError("bad-frame")`, `OSError`."""
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

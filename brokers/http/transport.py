"""Connections kept alive, in lanes: one lane per declared connection, and no stream ever changes lanes.

Rules of this file
- A lane's key is everything that decides who is at either end: the connection's name, origin, pins, CA and client
  certificate.
  A pool keyed by address would hand the TLS connection of host A to host B at the same address.
- A stream remembers the address that was checked and dialled. Reuse asks no resolver; a new stream asks once.
- A request is repeated only if it is safe (RFC 9110 section 9.2.1), went out on a stream that had been idle, and
  not a byte came back: the server was closing just then. A write is never repeated, so it is not put on a stream
  that has been idle for long.
- The whole call has one deadline: waiting for room, resolving, dialling, the head and the body.

Why not a client library's pool: those seen are keyed by origin or address, search every request against every
connection (64 calls at once collapse), and follow, decode or remember things that kv must not.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from brokers.addresses import is_loopback
from brokers.contract import BrokerError
from brokers.http.exchange import Exchange
from brokers.http.stream import Stream, dial, failure, tls_context
from brokers.lanes import Lanes
from brokers.resolver import resolve

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from brokers.http.reading import Destination
    from brokers.http.target import Pair
    from brokers.resolver import Resolver

MAX_LANES = 64  # connections kept warm; the least recently used idle one gives way
MAX_STREAMS = 32  # calls at once on one connection: room for slow inference, not for a flood
MAX_DIALS = 3  # addresses tried before giving up
KEEP_IDLE = 30.0  # seconds: most servers close at 60 or 75, so kv closes first
KEEP_IDLE_WRITE = 2.0  # seconds: Node closes at 5; a write must not meet that moment
MAX_AGE = 300.0  # seconds: a busy stream still asks the resolver every five minutes
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Wired:
    """A request as it is written: encoded target, headers complete. It holds the credential, so `repr` shows none."""

    method: str
    target: str = field(repr=False)
    headers: tuple[Pair, ...] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(slots=True)
class _Lane:
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_STREAMS))
    idle: list[Stream] = field(default_factory=list)
    calls: int = 0
    closed: bool = False

    @property
    def busy(self) -> bool:
        return self.calls > 0

    def take(self, now: float, longest_idle: float) -> Stream | None:
        """The stream that was used last, if it is still good; others stay for the next."""
        while self.idle:
            stream = self.idle.pop()
            if stream.quiet and now - stream.idle_since <= longest_idle and now - stream.born <= MAX_AGE:
                stream.expire_at(None)
                return stream
            stream.cut()
        return None

    def put(self, stream: Stream, now: float) -> None:
        if self.closed:
            stream.cut()
            return
        stream.idle_since = now
        stream.expire_at(now + KEEP_IDLE)
        self.idle.append(stream)

    def close(self) -> None:
        self.closed = True
        while self.idle:
            self.idle.pop().cut()


class Answer:
    """An answer whose head is here and whose body is on its way. `aclose` frees the stream, once."""

    def __init__(self, exchange: Exchange, lane: _Lane) -> None:
        self.status = exchange.status
        self.reason = exchange.reason.decode("latin-1")
        self.headers = tuple((n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in exchange.headers)
        self._exchange = exchange
        self._lane: _Lane | None = lane

    def body(self) -> AsyncGenerator[bytes, None]:
        """The body as it was coded. Raises `BrokerError` `broken` and `timeout`."""
        return self._exchange.body()

    async def aclose(self) -> None:
        """Give the stream back if it is clean, cut it if not."""
        lane, self._lane = self._lane, None
        if lane is None:
            return
        stream = self._exchange.stream
        if self._exchange.reusable:
            lane.put(stream, asyncio.get_running_loop().time())
        else:
            stream.cut()
        _leave(lane)


class Transport:
    """Sends requests. Mutable state: the lanes."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._lanes: Lanes[Destination, _Lane] = Lanes()

    async def send(self, to: Destination, request: Wired, deadline: float, seconds: float) -> Answer:
        """The answer to `request`, its head read. `deadline` is the loop's time, `seconds` what the caller was told.

        Raises `BrokerError`: `dns`, `address`, `connect`, `tls`, `timeout`, `broken`.
        """
        lane = self._lanes.at(to, _Lane, MAX_LANES)
        lane.calls += 1
        entered = False
        try:
            # A lane that is not locked is entered without waiting: nothing runs between the look and the step.
            async with asyncio.timeout_at(deadline if lane.room.locked() else None):
                entered = await lane.room.acquire()
            exchange = await self._exchange(to, lane, request, deadline, seconds)
        except BaseException as error:
            _leave(lane, entered=entered)
            if isinstance(error, OSError | BrokerError):
                raise failure(error, seconds) from None
            raise
        return Answer(exchange, lane)

    async def _exchange(
        self, to: Destination, lane: _Lane, request: Wired, deadline: float, seconds: float
    ) -> Exchange:
        now = asyncio.get_running_loop().time()
        safe = request.method in SAFE
        kept = lane.take(now, KEEP_IDLE if safe else KEEP_IDLE_WRITE)
        if kept is not None:
            exchange = Exchange(kept, seconds)
            try:
                await _start(exchange, request, deadline)
            except BrokerError as error:
                if error.code != "broken" or exchange.began or not safe:
                    raise
            else:
                return exchange
        exchange = Exchange(await self._dial(to, deadline), seconds)
        await _start(exchange, request, deadline)
        return exchange

    async def _dial(self, to: Destination, deadline: float) -> Stream:
        """A new stream to a checked address. An address that refuses gives way to the next, a bad name never does."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout_at(deadline):
            found = await resolve(to.origin.host, to.origin.port, to.pins, self._resolver)
        if to.origin.scheme != "https" and not all(map(is_loopback, found)):
            raise BrokerError("options", why="plain http is for loopback addresses only")
        tls = (to.identity or tls_context(to.ca)) if to.origin.scheme == "https" else None
        last: OSError = TimeoutError()
        tries = found[:MAX_DIALS]
        for done, address in enumerate(tries):
            share = (deadline - loop.time()) / (len(tries) - done)
            try:
                async with asyncio.timeout(share):
                    return await dial(to.origin, address, tls)
            except ssl.SSLError:
                raise
            except OSError as error:
                last = error
        raise last

    async def aclose(self) -> None:
        """Close every idle stream. Calls under way end with their own."""
        self._lanes.close()


def _leave(lane: _Lane, *, entered: bool = True) -> None:
    lane.calls -= 1
    if entered:
        lane.room.release()


async def _start(exchange: Exchange, request: Wired, deadline: float) -> None:
    """Send and read the head; whatever goes wrong, cancellation too, the stream is cut with it."""
    exchange.stream.expire_at(deadline)
    try:
        await exchange.start(request.method, request.target, request.headers, request.body)
    except BaseException:
        exchange.stream.cut()
        raise

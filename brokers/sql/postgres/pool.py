"""Sessions kept for the next call, in lanes: one lane per declared connection and credential, and the calls at work.

Rules of this file
- A lane's key is everything that decides who is at the other end and as whom we are there: the whole target, and a
  keyed hash of the password. A rotated password is another lane.
- A session goes back when it has been made as new, beside the loop, after the answer was handed out. Any doubt ends it.
- A call that ends before its statement does has the server stop it, at the address that was dialled.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar

from psycopg import Error

from brokers.addresses import is_loopback
from brokers.contract import BrokerError
from brokers.resolver import resolve
from brokers.sql.postgres.faults import Refused
from brokers.sql.postgres.login import login_of
from brokers.sql.postgres.session import Session
from brokers.sql.room import POSTGRES, POSTGRES_IN_ALL

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from brokers.contract import Connection, Credential
    from brokers.resolver import Resolver
    from brokers.sql.postgres.login import Login

T = TypeVar("T")
MAX_LANES = 16  # connections kept warm; the least recently used idle one gives way
KEEP = 4  # idle sessions of a lane
KEEP_IDLE = 60.0  # seconds: an agent's next question comes within; a server's slot is not held for long
_TURNS = 2  # sessions of one caller who asks again at once: one is made as new while the other works
_DIALS = 3  # addresses tried before giving up
_TIDY = 5.0  # seconds for making a session as new, or for stopping it: the server's own clock ends its statement anyway
_DRAIN, _PATIENCE = 256 << 10, 0.05  # bytes and seconds of a result that are read away rather than stopped


@dataclass(slots=True)
class Lane:
    """The sessions of one connection, and what is known of its types."""

    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(POSTGRES))
    idle: list[Session] = field(default_factory=list)
    returning: set[asyncio.Task[None]] = field(default_factory=set)
    hoping: int = 0
    timed: bool = False
    calls: int = 0
    closed: bool = False
    types: dict[int, tuple[str, int, bytes]] = field(default_factory=dict)


class Pool:
    """All sessions. Mutable state: the lanes, the calls at work and the tasks that tidy up after them."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._lanes: OrderedDict[bytes, Lane] = OrderedDict()
        self._room: asyncio.Semaphore | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._key = secrets.token_bytes(32)  # a lane's name must not let a password be tried

    async def call(self, connection: Connection, credential: Credential, seconds: float) -> Call:
        """A call that holds a place, and has `seconds` from now. Raises `BrokerError`."""
        login = login_of(connection, credential)
        deadline = asyncio.get_running_loop().time() + seconds
        lane = self._lane(connection, login)
        self._room = self._room or asyncio.Semaphore(POSTGRES_IN_ALL)
        lane.calls += 1
        try:
            async with asyncio.timeout_at(deadline):
                await lane.room.acquire()
                try:
                    await self._room.acquire()
                except BaseException:
                    lane.room.release()
                    raise
        except BaseException as error:
            lane.calls -= 1
            if isinstance(error, TimeoutError):
                raise BrokerError("timeout", seconds=max(1, round(seconds))) from None
            raise
        return Call(self, lane, login, deadline, seconds)

    def leave(self, lane: Lane) -> None:
        """A call is over."""
        lane.calls -= 1
        lane.room.release()
        if self._room is not None:
            self._room.release()

    def _lane(self, connection: Connection, login: Login) -> Lane:
        text = json.dumps([connection.name, connection.scheme, dict(connection.target), login.password], sort_keys=True)
        key = blake2b(text.encode("utf-8", "surrogatepass"), key=self._key).digest()
        lane = self._lanes.pop(key, None) or Lane()
        self._lanes[key] = lane
        if len(self._lanes) > MAX_LANES:
            unused = next((key for key, held in self._lanes.items() if not held.calls and held is not lane), None)
            if unused is not None:
                _close(self._lanes.pop(unused))
        return lane

    async def dial(self, login: Login) -> Session:
        """A new session. An address that refuses gives way to the next; a bad certificate or password never does."""
        found = await resolve(login.host, login.port, login.pins, self._resolver)
        if not login.tls and not all(map(is_loopback, found)):
            raise BrokerError("options", why="without TLS a database is reached on loopback alone")
        last = BrokerError("connect")
        for address in found[:_DIALS]:
            try:
                return await Session.open(login, address)
            except BrokerError as error:
                last = error
            except (Error, OSError):
                last = BrokerError("broken")
            except Refused:
                last = BrokerError("refused", why="the server does not say who it takes us for")
            if last.code != "connect":
                break
        raise last from None

    def spawn(self, work: Coroutine[None, None, bool], lane: Lane, session: Session) -> None:
        """Let `work` tidy `session` up beside the loop; kept where it says so, closed where not."""

        async def tidy() -> None:
            good = False
            try:
                with suppress(BrokerError, Error, OSError, TimeoutError, Refused):
                    async with asyncio.timeout(_TIDY):
                        good = await work
            finally:
                self.leave(lane)
                if good and not lane.closed and len(lane.idle) < KEEP:
                    self._keep(lane, session)
                else:
                    session.close()

        task = asyncio.get_running_loop().create_task(tidy())
        for tasks in (self._tasks, lane.returning):
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def _keep(self, lane: Lane, session: Session) -> None:
        loop = asyncio.get_running_loop()
        session.idle_since = loop.time()
        lane.idle.append(session)
        if not lane.timed:
            lane.timed = True
            loop.call_later(KEEP_IDLE, _expire, lane)

    async def aclose(self) -> None:
        """Close what is idle, and let what tidies up finish."""
        for lane in self._lanes.values():
            _close(lane)
        self._lanes.clear()
        while self._tasks:
            await asyncio.wait(set(self._tasks))


class Call:
    """One call and the session that it holds. It ends by `give_back`, `leave_rows` or `abandon`, the first of them."""

    def __init__(self, pool: Pool, lane: Lane, login: Login, deadline: float, seconds: float) -> None:
        self.lane, self.login = lane, login
        self.kept = False
        self.rings = 0.0  # when the server's clock for the statement does, in the loop's time
        self._pool, self._deadline, self._seconds = pool, deadline, seconds
        self._session: Session | None = None
        self._over = False

    @property
    def session(self) -> Session:
        """The session, once there is one."""
        if self._session is None:
            raise BrokerError("broken")
        return self._session

    @property
    def opened(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    @property
    def left(self) -> float:
        """Seconds that the call still has."""
        return max(0.001, self._deadline - asyncio.get_running_loop().time())

    async def open(self) -> None:
        """Take a kept session, or a new one. Raises `BrokerError`."""
        session = await self.timed(self._idle())
        self.kept = session is not None
        self._session = session or await self.timed(self._pool.dial(self.login))

    async def reopen(self) -> None:
        """In the place of a kept session that turned out to be dead, a new one."""
        self.session.close()
        self._session, self.kept = None, False
        self._session = await self.timed(self._pool.dial(self.login))

    async def _idle(self) -> Session | None:
        lane = self.lane
        while True:
            while lane.idle:
                session = lane.idle.pop()
                if session.quiet:
                    return session
                session.close()
            if len(lane.returning) - lane.hoping < _TURNS:
                return None
            lane.hoping += 1  # one is on its way back, and that takes less than a new one
            try:
                await asyncio.wait(set(lane.returning), return_when=asyncio.FIRST_COMPLETED)
            finally:
                lane.hoping -= 1

    async def timed(self, work: Coroutine[None, None, T]) -> T:
        """What `work` returns, within the call's time. A refusal comes as `Refused`, all else as `BrokerError`."""
        try:
            async with asyncio.timeout_at(self._deadline):
                return await work
        except TimeoutError:
            raise BrokerError("timeout", seconds=max(1, round(self._seconds))) from None
        except Refused as refused:
            if refused.refusal.fatal:
                raise BrokerError("broken") from None
            raise
        except (Error, OSError):
            raise BrokerError("broken") from None

    def give_back(self) -> None:
        """The statement is over, and its transaction may be open."""
        if self._ends():
            self._pool.spawn(self.session.renew(), self.lane, self.session)

    def leave_rows(self) -> None:
        """Nobody reads the rest of the rows: a little is read away, of more the server is stopped."""
        if self._ends():
            self._pool.spawn(_left(self.session), self.lane, self.session)

    def abandon(self) -> None:
        """Whatever is at work is not wanted any more: stopped, and the session closed."""
        if self._ends():
            self._pool.spawn(_stopped(self.session), self.lane, self.session)

    def _ends(self) -> bool:
        """Whether this is the first end, and there is a session to tidy up."""
        first, self._over = not self._over, True
        if first and self._session is None:
            self._pool.leave(self.lane)
        return first and self._session is not None


async def _left(session: Session) -> bool:
    over = False
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            over = await session.skip(_DRAIN)
    if not over:
        await session.stop()
    return await session.renew()


async def _stopped(session: Session) -> bool:
    await session.cancel()
    return False


def _close(lane: Lane) -> None:
    lane.closed = True
    while lane.idle:
        lane.idle.pop().close()


def _expire(lane: Lane) -> None:
    """Close what has been idle for long, and look again while something is idle."""
    loop = asyncio.get_running_loop()
    for session in [each for each in lane.idle if loop.time() - each.idle_since >= KEEP_IDLE]:
        lane.idle.remove(session)
        session.close()
    lane.timed = bool(lane.idle)
    if lane.timed:
        loop.call_later(KEEP_IDLE, _expire, lane)

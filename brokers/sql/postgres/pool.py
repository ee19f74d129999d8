"""Sessions kept for the next call, in lanes: one lane per declared connection and credential.

Rules of this file
- A lane's key is everything that decides who is at the other end and as whom we are there: the whole target, and a
  keyed hash of the secret. A rotated password is another lane.
- The password is read out of the secret where a session logs in with it, and nowhere else.
- A session goes back when it has been made as new, beside the loop, after the answer was handed out. Any doubt ends it.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from psycopg import Error

from brokers.addresses import is_loopback
from brokers.contract import BrokerError
from brokers.lanes import Lanes
from brokers.resolver import resolve
from brokers.sql.kind import lane_key
from brokers.sql.lane import SessionLane
from brokers.sql.postgres.call import Call
from brokers.sql.postgres.faults import Refused
from brokers.sql.postgres.login import login_of
from brokers.sql.postgres.session import Session
from brokers.sql.room import POSTGRES, POSTGRES_IN_ALL

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from brokers.contract import Connection, Credential
    from brokers.resolver import Resolver
    from brokers.sql.postgres.login import Login

MAX_LANES = 16  # connections kept warm; the least recently used idle one gives way
KEEP = 4  # idle sessions of a lane
KEEP_IDLE = 60.0  # seconds: an agent's next question comes within; a server's slot is not held for long
_DIALS = 3  # addresses tried before giving up
_TIDY = 5.0  # seconds for making a session as new, or for stopping it: the server's own clock ends its statement anyway


@dataclass(slots=True)
class Lane(SessionLane[Session]):
    """The sessions of one connection, and what is known of its types.

    `hoping` wait for what is returning; `timed`: what is idle has a timer.
    """

    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(POSTGRES))
    hoping: int = 0
    timed: bool = False
    types: dict[int, tuple[str, int, bytes]] = field(default_factory=dict)


class Pool:
    """All sessions. Mutable state: the lanes, the calls at work and the tasks that tidy up after them."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._lanes: Lanes[bytes, Lane] = Lanes()
        self._room: asyncio.Semaphore | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._key = secrets.token_bytes(32)  # a lane's name must not let a password be tried

    async def call(self, connection: Connection, credential: Credential, seconds: float) -> Call:
        """A call that holds a place, and has `seconds` from now. Raises `BrokerError`."""
        deadline = asyncio.get_running_loop().time() + seconds
        lane = self._lane(connection, credential)
        room = self._room = self._room or asyncio.Semaphore(POSTGRES_IN_ALL)
        lane.calls += 1
        try:
            if lane.room.locked() or room.locked():
                async with asyncio.timeout_at(deadline):
                    await _places(lane.room, room)
            else:  # nobody waits, and a timer that never rings costs more than the places
                await _places(lane.room, room)
        except BaseException as error:
            lane.calls -= 1
            if isinstance(error, TimeoutError):
                raise BrokerError("timeout", seconds=max(1, round(seconds))) from None
            raise
        return Call(self, lane, partial(login_of, connection, credential), deadline, seconds)

    def leave(self, lane: Lane) -> None:
        """A call is over."""
        lane.calls -= 1
        lane.room.release()
        if self._room is not None:
            self._room.release()

    def _lane(self, connection: Connection, credential: Credential) -> Lane:
        return self._lanes.at(lane_key(connection, credential, self._key), Lane, MAX_LANES)

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
                await asyncio.sleep(0)  # the answer goes out first
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
        self._lanes.close()
        while self._tasks:
            await asyncio.wait(set(self._tasks))


async def _places(*rooms: asyncio.Semaphore) -> None:
    """A place in each, or in none."""
    taken: list[asyncio.Semaphore] = []
    try:
        for room in rooms:
            await room.acquire()
            taken.append(room)
    except BaseException:
        for room in taken:
            room.release()
        raise


def _expire(lane: Lane) -> None:
    """Close what has been idle for long, and look again while something is idle."""
    loop = asyncio.get_running_loop()
    for session in [each for each in lane.idle if loop.time() - each.idle_since >= KEEP_IDLE]:
        lane.idle.remove(session)
        session.close()
    lane.timed = bool(lane.idle)
    if lane.timed:
        loop.call_later(KEEP_IDLE, _expire, lane)

"""Sessions kept open, a few for each declared connection, in lanes.

Rules of this file
- A lane is one target and one secret: a changed connection, or a changed secret, never meets an old session.
- A session comes back only as new; until it does, its place is taken.
- An address is dialled that was checked just before.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from brokers.addresses import is_loopback
from brokers.contract import BrokerError
from brokers.lanes import Lanes
from brokers.resolver import resolve
from brokers.sql.kind import lane_key
from brokers.sql.lane import SessionLane
from brokers.sql.mysql.call import KILLING, Call, login_of
from brokers.sql.mysql.driver import MALFORMED, Error
from brokers.sql.room import MYSQL
from brokers.sql.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from brokers.contract import Connection, Credential
    from brokers.resolver import Resolver
    from brokers.sql.mysql.driver import Login
    from brokers.sql.mysql.session import Session

MAX_LANES = 64  # connections of which sessions are kept; the least recently used idle one gives way
KEEP_IDLE = 60.0  # seconds: a session costs the server memory, and dialling again some milliseconds


class Pool:
    """All sessions. Mutable state: the lanes, the calls at work and the tasks that tidy up after them."""

    def __init__(self, resolver: Resolver) -> None:
        self.threads = Threads("kv-mysql")
        self._resolver = resolver
        self._lanes: Lanes[bytes, SessionLane[Session]] = Lanes()
        self._calls: set[Call] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._key = secrets.token_bytes(32)  # a lane's name must not let a password be tried

    async def call(self, connection: Connection, credential: Credential, seconds: float) -> Call:
        """A call that holds a place, and has `seconds` from now. Raises `BrokerError`."""
        login = login_of(connection, credential)
        deadline = asyncio.get_running_loop().time() + seconds
        lane = self._lanes.at(lane_key(connection, credential, self._key), _lane, MAX_LANES)
        lane.calls += 1
        try:
            async with asyncio.timeout_at(deadline):
                await lane.room.acquire()
        except BaseException as error:
            lane.calls -= 1
            if isinstance(error, TimeoutError):
                raise BrokerError("timeout", seconds=max(1, round(seconds))) from None
            raise
        call = Call(self, lane, login, tuple(cast("Sequence[str]", connection.target["addresses"])), deadline, seconds)
        self._calls.add(call)
        return call

    async def addresses(self, login: Login, pins: tuple[str, ...]) -> tuple[str, ...]:
        """The checked addresses to dial. Without TLS they are on loopback, whatever the target says."""
        found = await resolve(login.host, login.port, pins, self._resolver)
        if not login.tls and not all(map(is_loopback, found)):
            raise BrokerError("options", why="without TLS a database is reached on loopback alone")
        return found

    def spawn(self, work: Callable[[], object], call: Call) -> None:
        """Let `work` tidy up after `call`, beside the loop, and free its place when that is done."""

        async def tidy() -> None:
            try:
                with suppress(BrokerError, Error, OSError, *MALFORMED):
                    await self.threads.run(work, _nothing)
            finally:
                self.leave(call)

        task = asyncio.get_running_loop().create_task(tidy())
        for tasks in (self._tasks, call.lane.returning):
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def leave(self, call: Call) -> None:
        """The call is over."""
        self._calls.discard(call)
        call.lane.calls -= 1
        call.lane.room.release()

    def kept(self, lane: SessionLane[Session], session: Session) -> None:
        """Back into its lane, for a while. Called on the loop."""
        if lane.closed:
            session.close()
            return
        loop = asyncio.get_running_loop()
        session.idle_since = loop.time()
        lane.idle.append(session)
        loop.call_later(KEEP_IDLE, self._expire, lane, session, session.idle_since)

    def _expire(self, lane: SessionLane[Session], session: Session, since: float) -> None:
        if session.idle_since == since and session in lane.idle:
            lane.idle.remove(session)
            session.close()

    async def aclose(self) -> None:
        """Close what is idle, end what is at work, and let what tidies up finish."""
        self._lanes.close()
        for call in tuple(self._calls):
            call.abandon()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=KILLING + 1)
        self.threads.close()


def _lane() -> SessionLane[Session]:
    return SessionLane(asyncio.Semaphore(MYSQL))


def _nothing() -> None:
    """What tidies up has its own bounds, and is not aborted."""

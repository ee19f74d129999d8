"""Sessions kept for the next call, in lanes: one lane per declared connection and credential.

Rules of this file
- A lane's key is everything that decides who is at the other end and as whom we are there: the whole target, and a
  keyed digest of the password. A rotated password is another lane.
- A session goes back only when it is as new; that is found out after the answer has been handed out.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.sql import kind
from brokers.sql.pg.login import connect
from brokers.sql.pg.session import RefusedError, Session

if TYPE_CHECKING:
    from brokers.contract import Connection, Credential
    from brokers.resolver import Resolver

MAX_LANES = 64  # connections kept warm; the least recently used one gives way
MAX_SESSIONS = 16  # at once in a lane: servers take a hundred in all
KEEP = 4  # idle sessions of a lane
KEEP_IDLE = 60.0  # seconds: an agent's next question comes within; a server's slot is not held for long


@dataclass(slots=True)
class Lane:
    """The sessions of one connection, and what is known of its types: oid to name and element."""

    types: dict[int, tuple[str, int | None]] = field(default_factory=dict)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_SESSIONS))
    idle: list[Session] = field(default_factory=list)
    cleaning: set[asyncio.Task[None]] = field(default_factory=set)
    closed: bool = False


class Loan:
    """A session lent to one call. `release` gives it back, once."""

    def __init__(self, pool: Pool, lane: Lane, session: Session) -> None:
        self.lane, self.session = lane, session
        self._pool: Pool | None = pool

    async def release(self) -> None:
        """Give it back: it is cleaned beside the loop, and kept if that works."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.take_back(self.lane, self.session)


class Pool:
    """Lends sessions. Mutable state: the lanes."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._key = os.urandom(32)
        self._lanes: OrderedDict[bytes, Lane] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def borrow(self, connection: Connection, credential: Credential) -> Loan:
        """A session that is as new. Raises `BrokerError`."""
        password = kind.password(connection, credential)
        lane = self._lane(connection, password)
        await lane.room.acquire()
        try:
            session = await self._kept(lane) or await self._new(connection, password)
        except BaseException:
            lane.room.release()
            raise
        return Loan(self, lane, session)

    async def _kept(self, lane: Lane) -> Session | None:
        if not lane.idle and lane.cleaning:  # one that is nearly ready is sooner there than a new one
            await asyncio.wait(lane.cleaning, return_when=asyncio.FIRST_COMPLETED)
        while lane.idle:
            session = lane.idle.pop()
            if session.good:
                return session
            await session.cut()
        return None

    async def _new(self, connection: Connection, password: str) -> Session:
        session = Session(await connect(connection, password, self._resolver))
        try:
            await session.prepare()
        except BaseException as error:
            await session.cut()
            if isinstance(error, RefusedError):
                raise BrokerError("refused", why="it does not let kv in") from None
            raise
        return session

    def _lane(self, connection: Connection, password: str) -> Lane:
        whole = json.dumps([connection.name, connection.canonical()], sort_keys=True).encode()
        name = hashlib.blake2b(whole + b"\0" + password.encode(), key=self._key, digest_size=32).digest()
        if name not in self._lanes:
            self._lanes[name] = Lane()
            while len(self._lanes) > MAX_LANES:
                _, old = self._lanes.popitem(last=False)
                self._close(old)
        self._lanes.move_to_end(name)
        return self._lanes[name]

    def take_back(self, lane: Lane, session: Session) -> None:
        """Clean it beside the loop, and keep it if it is as new."""

        async def clean() -> None:
            try:
                loop = asyncio.get_running_loop()
                if await session.clean() and not lane.closed and len(lane.idle) < KEEP:
                    session.idle_since = loop.time()
                    lane.idle.append(session)
                    loop.call_later(KEEP_IDLE + 1, self._expire, lane)
                else:
                    await session.cut()
            finally:
                lane.room.release()

        task = self._spawn(clean())
        lane.cleaning.add(task)
        task.add_done_callback(lane.cleaning.discard)

    def _spawn(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]  # a coroutine
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _expire(self, lane: Lane) -> None:
        now = asyncio.get_running_loop().time()
        for session in [each for each in lane.idle if now - each.idle_since >= KEEP_IDLE]:
            lane.idle.remove(session)
            self._spawn(session.cut())

    def _close(self, lane: Lane) -> None:
        lane.closed = True
        while lane.idle:
            self._spawn(lane.idle.pop().cut())

    async def aclose(self) -> None:
        """Close every session."""
        for lane in self._lanes.values():
            self._close(lane)
        self._lanes.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while self._tasks:
                    await asyncio.wait(set(self._tasks))

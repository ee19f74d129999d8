"""Sessions kept for the next call, in lanes: a lane for each declared server with each credential.

Rules of this file
- A lane's key is the whole canonical target and a keyed digest of the secrets, the jump host's with them: a changed
  declaration or a replaced secret finds no session of before.
- A session is used by so many calls at once as servers take by default, and is closed when nobody has used it for a
  while, and in any case after an hour: a server's administrator who takes a key away is obeyed by then.
- A session that logged in with a one-command certificate is nobody else's: it is not kept.
- A jump host has a lane like any other. Sessions through it hold it, and are at work in it while a call is in them.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from brokers.lanes import Lanes
from brokers.ssh import credentials
from brokers.ssh.session import Session, Way, connect

if TYPE_CHECKING:
    from brokers.resolver import Resolver
    from brokers.ssh.login import Leg

MAX_LANES = 32  # servers kept warm: each costs a thread
MAX_CALLS = 8  # at once on one server: sshd's MaxSessions is 10, and leaves two for whoever else has the account
KEEP_IDLE = 120.0  # seconds
MAX_AGE = 3600.0  # seconds


@dataclass(slots=True)
class _Lane:
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CALLS))
    door: asyncio.Lock = field(default_factory=asyncio.Lock)  # one login at a time: the others wait for its session
    session: Session | None = None
    users: int = 0  # calls, and sessions that lead through this one
    timer: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        return self.users > 0

    def enter(self) -> None:
        self.users += 1
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def leave(self) -> None:
        self.users -= 1
        if not self.users and self.session is not None:
            self.timer = asyncio.get_running_loop().call_later(KEEP_IDLE, self.close)

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        session, self.session = self.session, None
        if session is not None:
            session.cut()


@dataclass(slots=True)
class Loan:
    """A session lent to one call. `kept` says that it was there before, so that the server may just be leaving it."""

    session: Session
    kept: bool
    lane: _Lane
    _at_work: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.session.calls += 1
        self.heed(True)  # noqa: FBT003 - as `Way` has it

    def heed(self, at_work: bool) -> None:  # noqa: FBT001 - as above
        """Whether it is used; one that holds a jump host is not while the session through that rests."""
        if at_work != self._at_work:
            self._at_work = at_work
            self.session.heed(more=at_work)

    def release(self) -> None:
        """Give it back: once. A session that the lane does not keep ends with its last call."""
        self.lane.room.release()
        self.leave()

    def leave(self) -> None:
        """As `release`, where the room was given back before."""
        self.heed(False)  # noqa: FBT003 - as above
        self.session.calls -= 1
        if self.session is not self.lane.session and not self.session.calls:
            self.session.cut()
        self.lane.leave()


class Pool:
    """Mutable state: the lanes."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._key = secrets.token_bytes(32)
        self._lanes: Lanes[bytes, _Lane] = Lanes()

    async def borrow(self, leg: Leg, hop: Leg | None, deadline: float) -> Loan:
        """A session on `leg`, by way of `hop`. Raises `BrokerError`, and `TimeoutError` at the loop's `deadline`."""
        lane = self._lane(leg, hop)
        lane.enter()
        entered = False
        try:
            async with asyncio.timeout_at(deadline):
                entered = await lane.room.acquire()
            if leg.scheme == "ca":
                return Loan(await self._connect(leg, hop, deadline), kept=False, lane=lane)
            async with asyncio.timeout_at(deadline):
                await lane.door.acquire()
            try:
                return await self._of(lane, leg, hop, deadline)
            finally:
                lane.door.release()
        except BaseException:
            if entered:
                lane.room.release()
            lane.leave()
            raise

    async def _of(self, lane: _Lane, leg: Leg, hop: Leg | None, deadline: float) -> Loan:
        session = lane.session
        if session is not None:
            if session.alive and asyncio.get_running_loop().time() - session.born <= MAX_AGE:
                return Loan(session, kept=True, lane=lane)
            lane.session = None
            if not (session.alive and session.calls):
                session.cut()
        lane.session = await self._connect(leg, hop, deadline)
        return Loan(lane.session, kept=False, lane=lane)

    async def _connect(self, leg: Leg, hop: Leg | None, deadline: float) -> Session:
        if hop is None:
            return await connect(leg, Way(self._resolver, None, _nothing, _nothing), deadline)
        loan = await self.borrow(hop, None, deadline)
        # What leads through it is no session of its own to the jump host: it takes no room there.
        loan.lane.room.release()
        return await connect(leg, Way(self._resolver, loan.session, loan.leave, loan.heed), deadline)

    def _lane(self, leg: Leg, hop: Leg | None) -> _Lane:
        said = json.dumps([dict(leg.target), leg.scheme], sort_keys=True).encode()
        lent = [credentials.told_apart(one.credential, self._key) for one in (leg, hop) if one is not None]
        key = b"".join(lent) + said
        return self._lanes.at(key, _Lane, MAX_LANES)

    async def aclose(self) -> None:
        """Close every session. Calls under way end with `broken`."""
        self._lanes.close()


def _nothing(*_: bool) -> None:
    """What becomes of others with a session that was dialled directly."""

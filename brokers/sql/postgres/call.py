"""One call on a database, the session that it holds, and the time that it has.

Rules of this file
- A call that ends before its statement does has the server stop it, at the address that was dialled.
- One timer rings for all that a call does.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from psycopg import Error

from brokers.contract import BrokerError
from brokers.sql.postgres.faults import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from brokers.sql.postgres.login import Login
    from brokers.sql.postgres.pool import Lane, Pool
    from brokers.sql.postgres.session import Session

T = TypeVar("T")
_TURNS = 2  # sessions of one caller who asks again at once: one is made as new while the other works
_DRAIN, _PATIENCE = 256 << 10, 0.05  # bytes and seconds of a result that are read away rather than stopped


class Call:
    """One call and the session that it holds. It ends by `give_back`, `leave_rows` or `abandon`, the first of them."""

    def __init__(self, pool: Pool, lane: Lane, login: Callable[[], Login], deadline: float, seconds: float) -> None:
        self.lane = lane
        self.kept = False
        self.rings = 0.0  # when the server's clock for the statement does, in the loop's time
        self._pool, self._login, self._deadline, self._seconds = pool, login, deadline, seconds
        self._session: Session | None = None
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._at_work: asyncio.Task[object] | None = None
        self._rung = self._cut = False

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
        self._session = session or await self.timed(self._pool.dial(self._login()))

    async def reopen(self) -> None:
        """In the place of a kept session that turned out to be dead, a new one."""
        self.session.close()
        self._session, self.kept = None, False
        self._session = await self.timed(self._pool.dial(self._login()))

    async def _idle(self) -> Session | None:
        lane = self.lane
        while (session := lane.rested()) is None:
            if len(lane.returning) - lane.hoping < _TURNS:
                return None
            lane.hoping += 1  # one is on its way back, and that takes less than a new one
            try:
                await asyncio.wait(set(lane.returning), return_when=asyncio.FIRST_COMPLETED)
            finally:
                lane.hoping -= 1
        return session

    async def timed(self, work: Coroutine[None, None, T]) -> T:
        """What `work` returns, within the call's time. A refusal comes as `Refused`, all else as `BrokerError`.

        One timer rings for all that a call does; what it cuts off ends as under `asyncio.timeout`.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        before = task.cancelling() if task else 0
        self._at_work = task
        if self._timer is None:
            self._timer = loop.call_at(self._deadline, self._ring)
        elif self._rung:
            loop.call_soon(self._ring)
        try:
            return await work
        except asyncio.CancelledError:
            if self._uncut(before):
                raise BrokerError("timeout", seconds=max(1, round(self._seconds))) from None
            raise
        except Refused as refused:
            if refused.refusal.fatal:
                raise BrokerError("broken") from None
            raise
        except (Error, OSError):
            raise BrokerError("broken") from None
        finally:
            self._uncut(before)
            self._at_work = None

    def _ring(self) -> None:
        """The call's time is over."""
        self._rung = True
        if self._at_work is not None and not self._cut:
            self._cut = True
            self._at_work.cancel()

    def _uncut(self, before: int) -> bool:
        """Whether it was the timer, and nobody else, that cut the work off. Takes the timer's cancelling back."""
        cut, self._cut = self._cut, False
        return cut and self._at_work is not None and self._at_work.uncancel() <= before

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
        if first and self._timer is not None:
            self._timer.cancel()
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

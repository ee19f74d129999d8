"""One call and the session that it holds: opened, used within the call's time, and given back or ended.

Rules of this file
- A call that ends before its statement does has it killed on the server, by number, from a second checked session.
- Nothing but the opening of a transaction is ever tried twice.
- A session that is in any doubt is closed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar, cast

from brokers.contract import BrokerError
from brokers.sql import kind
from brokers.sql.mysql import faults
from brokers.sql.mysql.driver import MALFORMED, Error, Login
from brokers.sql.mysql.session import Dialling, Session, number_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from brokers.contract import Connection, Credential
    from brokers.sql.lane import SessionLane
    from brokers.sql.mysql.pool import Pool

T = TypeVar("T")
KILLING = 5.0  # seconds for a kill: the server's own clock ends the statement anyway
_TURNS = 2  # sessions of one caller who asks again at once: one is made as new while the other works
_DRAIN = 256 << 10  # bytes of a result that are read away rather than lose the session
_DRAIN_SECONDS = 0.05


class Call:
    """One call and the session it holds. It ends by `give_back` or by `abandon`."""

    def __init__(  # noqa: PLR0913, PLR0917 - made in one place
        self,
        pool: Pool,
        lane: SessionLane[Session],
        login: Login,
        pins: tuple[str, ...],
        deadline: float,
        seconds: float,
    ) -> None:
        self.lane = lane
        self.seconds = seconds
        self._pool, self._login, self._pins, self._deadline = pool, login, pins, deadline
        self._session: Session | None = None
        self._dialling: Dialling | None = None
        self._over = False

    @property
    def session(self) -> Session:
        """The session, once a transaction is open."""
        if self._session is None:
            raise BrokerError("broken")
        return self._session

    async def start(self, work: Callable[[Session], T], *, write: bool) -> T:
        """Open a transaction, on a kept session or on a new one, and do `work` in it. Raises as `run` does."""
        begun = False

        def opened() -> T:
            nonlocal begun
            session = self.session
            session.begin(write=write, seconds=self.seconds)
            begun = True
            return work(session)

        self._session = await self._kept()
        if self._session is not None:
            try:
                return await self.run(opened)
            except BrokerError as error:
                if error.code != "broken" or begun:
                    raise
            self._session.close()  # it had died; nothing of the call was sent
            self._session = None
        await self._dial()
        return await self.run(opened)

    async def _kept(self) -> Session | None:
        lane = self.lane
        while (session := lane.rested()) is None:
            if len(lane.returning) < _TURNS:
                return None
            # One is on its way back, and that takes less than a new one.
            await self._timed(asyncio.wait(set(lane.returning), return_when=asyncio.FIRST_COMPLETED))
        return session

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        found = await self._timed(self._pool.addresses(self._login, self._pins))
        dialling = self._dialling = Dialling(self._login, found, self._deadline - loop.time())
        self._session = await self._timed(self._pool.threads.run(dialling.open, dialling.cut))

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` makes of the session, in a thread, within the call's time.

        A refusal of the server's comes through as the driver's `Error`, anything else as `BrokerError`.
        """
        try:
            return await self._timed(self._pool.threads.run(work, self.cut))
        except Error as error:
            failure = faults.fatal(number_of(error), self.seconds)
            if failure is None:
                raise
            raise failure from None
        except (OSError, *MALFORMED):
            raise BrokerError("broken") from None

    async def _timed(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await work
        except TimeoutError:
            raise BrokerError("timeout", seconds=max(1, round(self.seconds))) from None

    def cut(self) -> None:
        """End what is at work, from any thread."""
        if self._dialling is not None:
            self._dialling.cut()
        if self._session is not None:
            self._session.cut()

    def give_back(self) -> None:
        """The statement is over, and its transaction may be open: make the session as new, then keep it."""
        session = self._session
        if self._over or session is None:
            return self.abandon()
        self._over = True
        pool, lane, loop = self._pool, self.lane, asyncio.get_running_loop()

        def work() -> None:
            try:
                session.renew()
            except BaseException:
                session.close()
                raise
            loop.call_soon_threadsafe(pool.kept, lane, session)

        return pool.spawn(work, self)

    def leave_rows(self) -> None:
        """Nobody reads the rest of the rows: a little is read away, of more the statement is killed."""
        session = self._session
        if self._over or session is None:
            return self.abandon()
        self._over = True
        pool, lane, loop = self._pool, self.lane, asyncio.get_running_loop()

        def work() -> None:
            try:
                session.patience(_DRAIN_SECONDS)
                if session.skip(_DRAIN):
                    session.renew()
                    loop.call_soon_threadsafe(pool.kept, lane, session)
                    return
            except (BrokerError, Error, OSError, *MALFORMED):
                pass
            self._end(session)

        return pool.spawn(work, self)

    def abandon(self) -> None:
        """Whatever is at work is not wanted any more: killed, and the session closed."""
        if self._over:
            return
        self._over = True
        self.cut()
        session = self._session
        if session is None and self._dialling is not None:
            session = self._dialling.session
        if session is None:
            self._pool.leave(self)
        else:
            self._pool.spawn(lambda: self._end(session), self)

    def _end(self, session: Session) -> None:
        """Kill the session on its server and close it. Behind a balancer may be another server: it is left alone."""
        session.cut()
        try:
            second = Dialling(self._login, (session.address,), KILLING).open()
            try:
                second.patience(KILLING)
                if second.server == session.server:
                    second.do(f"KILL {session.number}")
            finally:
                second.close()
        finally:
            session.close()


def login_of(connection: Connection, credential: Credential) -> Login:
    """Where a connection logs in, and as whom. Raises `BrokerError("credential")`."""
    target = connection.target
    return Login(
        host=str(target["host"]),
        port=cast("int", target["port"]),
        user=str(target["user"]),
        database=str(target["database"]),
        tls=target["tls"] != kind.PLAIN,
        ca=str(target.get("ca") or ""),
        key_from_server=target.get("insecure_loopback") is True,
        password=kind.password(connection, credential),
    )

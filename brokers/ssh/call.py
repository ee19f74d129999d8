"""One call within a session: a thread that does it, a deadline, and an end that comes exactly once.

Rules of this file
- The thread does what blocks; the loop decides. Whatever ends a call, its end is told by the loop, and what the thread
  says afterwards is not heard.
- Before `sent` is set, nothing was asked of the server, and the call may be tried again on another session.
- Who closes a call early closes its channel. A session whose channel does not close in time is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Protocol

from paramiko import ChannelException

from brokers.contract import BrokerError
from brokers.ssh import threads
from brokers.ssh.driver import DRIVER
from brokers.ssh.stream import Stream

if TYPE_CHECKING:
    from paramiko import Channel

    from brokers.ssh.session import Session

GRACE = 2.0  # seconds that a channel may take to close


class GoneError(Exception):
    """The session ended before anything was asked of the server."""


class Work(Protocol):
    """What a call does, in its thread."""

    def __call__(self, call: Call, channel: Channel) -> None:
        """Do it. Raises `BrokerError`, or what the driver raises."""


class Call:
    """The state of one call. `wake` ends the thread's waiting; `stopped` says that nobody listens any more."""

    def __init__(self, session: Session, work: Work, head: dict[str, object]) -> None:
        self.session = session
        self.head = head
        self.wake = threading.Event()
        self.stopped = False
        self.sent = False
        self.out = Stream(self.wake.set)
        self.err = Stream(self.wake.set)
        self.writing = threading.Lock()  # what is sent to a channel comes before its close, whoever closes it
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._channel: Channel | None = None
        self._begun: asyncio.Future[None] = self._loop.create_future()
        self._finished = False
        self._over = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._seconds = 0

    async def start(self, deadline: float, seconds: float) -> None:
        """Returns once it has begun. Raises `BrokerError`, and `GoneError` where it may be tried on another session."""
        self._seconds = max(1, round(seconds))
        self._timer = self._loop.call_at(deadline, self._expire)
        threads.spawn(self._main)
        try:
            await self._begun
        except BaseException:
            await asyncio.shield(self.aclose())
            raise

    def begun(self) -> None:
        """For the thread: the head is there, and output may follow."""
        threads.post(self._loop, self._begin)

    def finished(self, end: dict[str, object]) -> None:
        """For the thread: it has come to its end, and `end` completes the head."""
        threads.post(self._loop, self._finish, None, end)

    def _main(self) -> None:
        error: BrokerError | GoneError | None = None
        try:
            self._channel = self._open()
            if not self.stopped:
                self._work(self, self._channel)
        except (BrokerError, GoneError) as failure:
            error = failure
        except Exception:  # noqa: BLE001 - the driver's, a defect's: whoever waits for this thread must hear of its end
            error = BrokerError("broken")
        finally:
            if self._channel is not None:
                self._close()
            threads.post(self._loop, self._end_of_thread, error)

    def _open(self) -> Channel:
        client = self.session.client
        try:
            return client.open_session()
        except ChannelException:
            raise BrokerError("refused", why="the server opens no further session on this connection") from None
        except DRIVER:
            raise GoneError from None

    def _end_of_thread(self, error: BrokerError | GoneError | None) -> None:
        self._fail(error or BrokerError("broken"))  # not heard unless the thread forgot to tell its beginning or end
        self._over.set()

    def _begin(self) -> None:
        if not self._begun.done():
            self._begun.set_result(None)

    def _fail(self, error: BrokerError | GoneError) -> None:
        if not self._begun.done():
            self._begun.set_exception(error)
            self._finish(None, {})
        else:
            self._finish(error if isinstance(error, BrokerError) else BrokerError("broken"), {"may_go_on": True})

    def _finish(self, error: BrokerError | None, end: dict[str, object]) -> None:
        if self._finished:
            return
        self._finished = self.stopped = True
        self.wake.set()
        if self._timer is not None:
            self._timer.cancel()
        self.head.update(end)
        self.out.end(error)
        self.err.end(error)

    def _expire(self) -> None:
        """The deadline. What was asked may go on over there; what was not asked, will not be."""
        late = BrokerError("timeout", seconds=self._seconds)
        if not self.sent or not self.tells_timeout:
            self._fail(late)
        else:
            self._begin()
        self._finish(None, {"timed_out": True, "may_go_on": True, "cut": True})
        threads.spawn(self._close)

    tells_timeout = False  # whether the head says it, so that what came before is worth having

    def _close(self) -> None:
        if self._channel is not None:
            with contextlib.suppress(*DRIVER), self.writing:
                self._hang_up(self._channel)
                self._channel.close()

    def _hang_up(self, channel: Channel) -> None:
        """What is said before the close."""

    async def aclose(self) -> None:
        """End it, if it goes on, and wait until its channel is closed."""
        self._finish(None, {"may_go_on": True} if self.sent else {})
        if not self._over.is_set():
            threads.spawn(self._close)
            try:
                async with asyncio.timeout(GRACE):
                    await self._over.wait()
            except TimeoutError:
                self.session.cut()

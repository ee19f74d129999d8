"""Calls that outlive the request that made them: a held call resumes when a person says yes, whoever still listens.

Rules of this file
- A ticket belongs to the session that made the call; another session's is unknown, not forbidden.
- The same call asked again while its ticket is open joins it: a lost reply never performs a write twice, and
  an approval that comes late still counts for exactly that call.
- What a ticket holds has been redacted already.
- Who holds most pays first: a session that fills its part is refused, and loses its own oldest results before anyone
  loses theirs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

    from kv.model import Pending

Result = TypeVar("Result")

_KEEP_SECONDS = 600.0  # a finished result waits this long to be picked up
_KEEP_BYTES = 64 << 20  # of results that nobody picked up
MOST = 256  # calls under way and results not picked up, together …
MOST_OF_ONE = 64  # … and of one session: as many as it may have connections
_ROUNDS = 100  # of the loop, at the end, for those who wait to be told


@dataclass(slots=True, eq=False)
class Ticket(Generic[Result]):
    """One held call. `handed` once its id was given to the caller: from then on it survives a hang-up.

    `asked`: a person was asked about it. `pending` is what they see, while they are. `held` is let go when it ends.
    `waiters` are the futures of those who wait for it.
    """

    id: str
    session: str
    digest: str
    pending: Pending | None
    task: asyncio.Task[Result]
    opened: float
    asked: bool = False
    held: ExitStack = field(default_factory=ExitStack)
    handed: bool = False
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    finished: float = field(default=0.0)


class Tickets(Generic[Result]):
    """The open tickets of a keeper. `drop` ends the asking of a call that is given up."""

    def __init__(
        self, clock: Callable[[], float], size: Callable[[Result], int], drop: Callable[[Pending], None]
    ) -> None:
        self._clock, self._size, self._drop = clock, size, drop
        self._open: dict[str, Ticket[Result]] = {}
        self._locked = False

    def find(self, session: str, digest: str) -> Ticket[Result] | None:
        """The session's open ticket for this very plan, if a person was asked about it."""
        self._sweep()
        for ticket in self._open.values():
            if ticket.session == session and ticket.digest == digest and ticket.asked:
                return ticket
        return None

    def get(self, session: str, name: str) -> Ticket[Result]:
        """The session's ticket of that id. Raises `KvError("unknown-ticket")`."""
        ticket = self.of(session, name)
        if ticket is None:
            raise KvError("unknown-ticket", id=name)
        return ticket

    def of(self, session: str, name: str) -> Ticket[Result] | None:
        """The session's ticket of that id, if there is one."""
        self._sweep()
        ticket = self._open.get(name.upper())
        return ticket if ticket is not None and ticket.session == session else None

    def is_open(self, ticket: Ticket[Result]) -> bool:
        """Whether nobody has collected it."""
        return self._open.get(ticket.id) is ticket

    def by_pending(self, name: str) -> Ticket[Result] | None:
        """The ticket whose approval has that id."""
        return self._open.get(name)

    def make_room(self, session: str) -> None:
        """Have a place for one more call of the session. Raises `KvError("busy")`.

        Ask before anything is taken for the call: what is refused here has left nothing behind.
        """
        self._sweep()
        if len(self._open) < min(MOST_OF_ONE, MOST):  # so no session has more, and nothing is to be counted
            return
        held = Counter(ticket.session for ticket in self._open.values())
        if held[session] >= MOST_OF_ONE and not self._drop_oldest(session):
            raise KvError("busy", what=f"calls of one session ({MOST_OF_ONE})")
        if len(self._open) >= MOST and not any(self._drop_oldest(each) for each, _ in held.most_common()):
            raise KvError("busy", what=f"calls ({MOST})")

    def start(
        self, name: str, session: str, digest: str, pending: Pending | None, work: Coroutine[object, object, Result]
    ) -> Ticket[Result]:
        """Run `work` as a task of its own under a new ticket, for which there is room."""
        waiters: list[asyncio.Future[None]] = []
        task = asyncio.get_running_loop().create_task(_bare(work, waiters))
        ticket = Ticket(name, session, digest, pending, task, self._clock(), asked=pending is not None, waiters=waiters)
        self._open[name] = ticket

        def end(_: asyncio.Task[Result]) -> None:
            self._finish(ticket)
            work.close()  # of one that was cancelled before its first step, and told nobody
            _tell(waiters)

        task.add_done_callback(end)
        return ticket

    def _finish(self, ticket: Ticket[Result]) -> None:
        """Let go of what the call needed: a ticket may lie for minutes, and a card's plan holds a whole body."""
        ticket.finished = self._clock()
        ticket.pending = None
        ticket.held.close()
        if not ticket.task.cancelled():
            ticket.task.exception()  # mark as seen: a result that nobody picks up is no warning on stderr

    async def wait(self, ticket: Ticket[Result], seconds: float) -> bool:
        """Whether it is done, within `seconds`. Who hangs up before being handed the id withdraws the call."""
        if ticket.task.done():
            return True
        loop = asyncio.get_running_loop()
        told = loop.create_future()
        ticket.waiters.append(told)
        timer = loop.call_later(seconds, _tell, (told,))
        try:
            await told
        except asyncio.CancelledError:
            if len(ticket.waiters) == 1 and not ticket.handed:
                self.withdraw(ticket)
            raise
        finally:
            timer.cancel()
            ticket.waiters.remove(told)
        return ticket.task.done()

    @contextmanager
    def unless_told(self, ticket: Ticket[Result]) -> Iterator[None]:
        """Tell the caller of its ticket here: if that fails, and nobody else waits for the call, it is withdrawn."""
        try:
            yield
        except BaseException:
            if not ticket.waiters and not ticket.handed:
                self.withdraw(ticket)
            raise

    def collect(self, ticket: Ticket[Result]) -> Result:
        """The finished call's result, once. Raises what the call raised."""
        self._open.pop(ticket.id, None)
        try:
            return ticket.task.result()
        except asyncio.CancelledError:  # before it was performed
            raise KvError("locked") if self._locked else KvError("unknown-ticket", id=ticket.id) from None

    def withdraw(self, ticket: Ticket[Result]) -> None:
        """Give the call up. From now on nobody can answer its card, nor can an identical call join it."""
        self._open.pop(ticket.id, None)
        if ticket.pending is not None:
            self._drop(ticket.pending)
        ticket.task.cancel("it was withdrawn")

    async def cancel_all(self) -> None:
        """Lock or panic: every call ends, settles itself in the audit as unknown, and whoever waits for it is told."""
        self._locked = True
        tickets = list(self._open.values())
        self._open.clear()
        for ticket in tickets:
            ticket.task.cancel("the vault was locked")
        await asyncio.gather(*(ticket.task for ticket in tickets), return_exceptions=True)
        for _ in range(_ROUNDS):
            if not any(ticket.waiters for ticket in tickets):
                break
            await asyncio.sleep(0)

    def _sweep(self) -> None:
        """Drop the results that nobody picked up in time, or that are too much together."""
        now = self._clock()
        held: Counter[str] = Counter()
        for name, ticket in list(self._open.items()):
            if not ticket.finished or ticket.waiters:
                continue
            if now - ticket.finished > _KEEP_SECONDS:
                del self._open[name]
            else:
                held[ticket.session] += self._held(ticket)
        while held.total() > _KEEP_BYTES:
            session = held.most_common(1)[0][0]
            held[session] -= self._drop_oldest(session) or held[session]

    def _drop_oldest(self, session: str) -> int:
        """Drop the session's oldest result that nobody waits for; its size, at least 1, or 0 if there is none."""
        lying = [t for t in self._open.values() if t.session == session and t.finished and not t.waiters]
        if not lying:
            return 0
        oldest = min(lying, key=lambda ticket: ticket.finished)
        del self._open[oldest.id]
        return max(1, self._held(oldest))

    def _held(self, ticket: Ticket[Result]) -> int:
        done = ticket.task.done() and not ticket.task.cancelled() and ticket.task.exception() is None
        return self._size(ticket.task.result()) if done else 0


async def _bare(work: Coroutine[object, object, Result], waiters: list[asyncio.Future[None]]) -> Result:
    """What `work` returns or raises; a declared error without its traceback, whose frames would hold bodies.

    Who waits is told in the work's last step, not by a callback after it: that is one round of the loop less.
    """
    try:
        return await work
    except KvError as error:
        error.__context__ = None
        raise error.with_traceback(None) from None
    finally:
        _tell(waiters)


def _tell(waiting: Iterable[asyncio.Future[None]]) -> None:
    for each in waiting:
        if not each.done():
            each.set_result(None)

"""Calls that outlive the request that made them: a held call resumes when a person says yes, whoever still listens.

Rules of this file
- A ticket belongs to the session that made the call; another session's is unknown, not forbidden.
- The same call asked again while its ticket is open joins it: a lost reply never performs a write twice, and
  an approval that comes late still counts for exactly that call.
- What a ticket holds has been redacted already.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kv.model import Pending

Result = TypeVar("Result")

_KEEP_SECONDS = 600.0  # a finished result waits this long to be picked up
_KEEP_BYTES = 64 << 20  # of results that nobody picked up; the oldest go first
_MOST = 256  # open tickets; a session is bounded further by what may wait for approval


@dataclass(slots=True, eq=False)
class Ticket(Generic[Result]):
    """One held call. `handed` once its id was given to the caller: from then on it survives a hang-up."""

    id: str
    session: str
    digest: str
    pending: Pending | None
    task: asyncio.Task[Result]
    opened: float
    handed: bool = False
    waiters: int = 0
    finished: float = field(default=0.0)


class Tickets(Generic[Result]):
    """The open tickets of a keeper."""

    def __init__(self, clock: Callable[[], float], size: Callable[[Result], int]) -> None:
        self._clock = clock
        self._size = size
        self._open: dict[str, Ticket[Result]] = {}

    def find(self, session: str, digest: str) -> Ticket[Result] | None:
        """The session's open ticket for this very plan, if a person was asked about it."""
        self._sweep()
        for ticket in self._open.values():
            if ticket.session == session and ticket.digest == digest and ticket.pending is not None:
                return ticket
        return None

    def get(self, session: str, name: str) -> Ticket[Result]:
        """The session's ticket of that id. Raises `KvError("unknown-ticket")`."""
        self._sweep()
        ticket = self._open.get(name.upper())
        if ticket is None or ticket.session != session:
            raise KvError("unknown-ticket", id=name)
        return ticket

    def by_pending(self, name: str) -> Ticket[Result] | None:
        """The ticket whose approval has that id."""
        return self._open.get(name)

    def start(
        self, name: str, session: str, digest: str, pending: Pending | None, work: Coroutine[object, object, Result]
    ) -> Ticket[Result]:
        """Run `work` as a task of its own under a new ticket. Raises `KvError("busy")`."""
        self._sweep()
        if len(self._open) >= _MOST:
            work.close()
            raise KvError("busy", what="calls")
        task = asyncio.get_running_loop().create_task(work)
        ticket = Ticket(name, session, digest, pending, task, self._clock())
        self._open[name] = ticket
        task.add_done_callback(lambda _: self._finish(ticket))
        return ticket

    def _finish(self, ticket: Ticket[Result]) -> None:
        ticket.finished = self._clock()
        if not ticket.task.cancelled():
            ticket.task.exception()  # mark as seen: a result that nobody picks up is no warning on stderr

    async def wait(self, ticket: Ticket[Result], seconds: float) -> bool:
        """Wait until it is done or `seconds` passed. Who hangs up before being handed the id withdraws the call."""
        ticket.waiters += 1
        try:
            await asyncio.wait({ticket.task}, timeout=seconds)
        except asyncio.CancelledError:
            if ticket.waiters == 1 and not ticket.handed:
                self.withdraw(ticket)
            raise
        finally:
            ticket.waiters -= 1
        return ticket.task.done()

    def collect(self, ticket: Ticket[Result]) -> Result:
        """The finished call's result, once. Raises what the call raised."""
        self._open.pop(ticket.id, None)
        try:
            return ticket.task.result()
        except asyncio.CancelledError:
            raise KvError("unknown-ticket", id=ticket.id) from None

    def withdraw(self, ticket: Ticket[Result]) -> None:
        """Give the call up."""
        self._open.pop(ticket.id, None)
        ticket.task.cancel()

    async def cancel_all(self) -> None:
        """Lock or panic: every call ends, and settles itself in the audit as unknown."""
        tasks = [ticket.task for ticket in self._open.values()]
        self._open.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _sweep(self) -> None:
        now = self._clock()
        held = 0
        for name, ticket in sorted(self._open.items(), key=lambda item: -item[1].finished):
            if ticket.finished and not ticket.waiters:
                held += self._held(ticket)
                if now - ticket.finished > _KEEP_SECONDS or held > _KEEP_BYTES:
                    del self._open[name]

    def _held(self, ticket: Ticket[Result]) -> int:
        done = ticket.task.done() and not ticket.task.cancelled() and ticket.task.exception() is None
        return self._size(ticket.task.result()) if done else 0

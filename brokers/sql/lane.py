"""The sessions that are kept to one database for one credential, whichever server it is of: see `brokers.lanes`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio


class Session(Protocol):
    """What is kept."""

    @property
    def quiet(self) -> bool:
        """Whether nothing came in while nobody asked."""

    def close(self) -> None:
        """End it."""


S = TypeVar("S", bound=Session)


@dataclass(slots=True)
class SessionLane(Generic[S]):
    """`calls` hold or wait for a place in `room`; what is `returning` is being made as new."""

    room: asyncio.Semaphore
    idle: list[S] = field(default_factory=list)
    returning: set[asyncio.Task[None]] = field(default_factory=set)
    calls: int = 0
    closed: bool = False

    @property
    def busy(self) -> bool:
        """A call holds a place, or waits for one."""
        return self.calls > 0

    def rested(self) -> S | None:
        """An idle session that is good still; what has ended meanwhile is closed."""
        while self.idle:
            session = self.idle.pop()
            if session.quiet:
                return session
            session.close()
        return None

    def close(self) -> None:
        """End what is idle, and keep nothing more."""
        self.closed = True
        while self.idle:
            self.idle.pop().close()

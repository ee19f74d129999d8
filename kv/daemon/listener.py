"""Whoever made a call and hears what it says as it comes (`kv ssh` towards a terminal), or how much of it has come.

Rules of this file
- What is passed on is redacted as it would be at the end; this only says when it goes out.
- Where output stops tells which of a thousand guesses was right, which a result that is withheld whole does not. One
  such stop is worth as much to a search as the three withheld results that freeze a session: with misses free, three
  halve a thousand guesses down to one. So it freezes at once, and whatever else the session listens to stops with it.
- It ends with the request: a call that is taken up by its ticket later has its whole result, at the end.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

from kv.daemon import consequences

if TYPE_CHECKING:
    from collections.abc import Callable

    from kv.daemon.dispatch import Exchange, Say
    from kv.daemon.house import House
    from kv.daemon.uses import Use

_EVERY = 1.0  # seconds between two words on how much has come


class Listener:
    """One call's. `say` sends an event, `allowed` is whether its session may hear more, `guessed` is told of a stop."""

    def __init__(self, say: Say, allowed: Callable[[], bool], guessed: Callable[[], None]) -> None:
        self._say, self._allowed, self._guessed = say, allowed, guessed
        self._turn = asyncio.Lock()  # both streams speak on one connection
        self._open = True
        self.began = False
        self._due = 0.0

    def begin(self) -> bool:
        """Whether somebody listens as the output begins: then all of it goes this way, and none is kept."""
        self.began = self._open
        return self.began

    def stop(self) -> None:
        """What has come confirms a guess. Nothing more is said."""
        if self._open:
            self._open = False
            self._guessed()

    async def pass_on(self, stream: str, data: bytes) -> None:
        """Say what is redacted of a stream. Who takes no more of it hears no more."""
        if data:
            await self._tell({"event": "output", "stream": stream}, data)

    async def progress(self, size: int) -> None:
        """Say how many bytes of what is saved have come: of what takes longer than a moment, every now and then."""
        now = time.monotonic()
        if self._due and now >= self._due:
            await self._tell({"event": "progress", "bytes": size})
        if now >= self._due:
            self._due = now + _EVERY

    async def _tell(self, header: dict[str, object], data: bytes = b"") -> None:
        async with self._turn:
            if not self._open or not self._allowed():
                return
            try:
                await self._say(header, data)
            except OSError:  # a TimeoutError too
                self._open = False

    async def close(self) -> None:
        """The request is over."""
        self._open = False
        async with self._turn:  # what is being said is said to its end
            return


def listener_of(exchange: Exchange, house: House) -> Listener | None:
    """Who listens to the call of this request, if it says that somebody does."""
    args, caller = cast("Use", exchange.request.args), exchange.caller
    if not args.live:
        return None
    return Listener(
        exchange.say,
        allowed=lambda: not house.standing(caller).frozen,
        guessed=lambda: consequences.of_heard_guess(house, caller),
    )

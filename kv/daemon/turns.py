"""Turns at the outside: how many calls of one session are at work at once, so that another session's are as well.

Rules of this file
- A broker has places, so many for one connection and so many in all. One session gets three quarters of either: whoever
  fills them with what never ends has their own further calls wait, and nobody else's.
- A turn is held from before the credential is opened until the outcome is closed. Who waits for one waits no longer
  than the call may take.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kv.errors import KvError

if TYPE_CHECKING:
    from brokers.contract import Broker, Plan


@dataclass(slots=True)
class _Row:
    """The turns of one session at one counter, and how many calls hold or want one."""

    free: asyncio.Semaphore
    calls: int = 0


@dataclass(slots=True)
class Turn:
    """What one call holds. `close` it in any case."""

    turns: Turns
    rows: list[tuple[tuple[str, ...], _Row]] = field(default_factory=list)

    def close(self) -> None:
        """Give it to the next call."""
        while self.rows:
            counter, row = self.rows.pop()
            row.free.release()
            self.turns.left(counter, row)


class Turns:
    """The turns of all sessions. One per keeper."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, ...], _Row] = {}

    async def take(self, session: str, broker: Broker, plan: Plan) -> Turn:
        """Wait for a turn. Raises `KvError("upstream-timeout")` where none is free within the time of the call."""
        name, seconds = plan.connection.name, plan.limits.timeout
        deadline = asyncio.get_running_loop().time() + seconds
        turn = Turn(self)
        try:
            await self._take(turn, broker.places, (session, broker.kind, name), deadline)
            await self._take(turn, broker.places_in_all, (session, broker.kind), deadline)
        except BaseException as error:
            turn.close()
            if isinstance(error, TimeoutError):
                raise KvError("upstream-timeout", name=name, seconds=max(1, round(seconds))) from None
            raise
        return turn

    async def _take(self, turn: Turn, places: int, counter: tuple[str, ...], deadline: float) -> None:
        row = self._rows.get(counter)
        if row is None:
            row = self._rows[counter] = _Row(asyncio.Semaphore(places * 3 // 4))
        row.calls += 1
        try:
            if row.free.locked():
                async with asyncio.timeout_at(deadline):
                    await row.free.acquire()
            else:
                await row.free.acquire()  # at once
        except BaseException:
            self.left(counter, row)
            raise
        turn.rows.append((counter, row))

    def left(self, counter: tuple[str, ...], row: _Row) -> None:
        """One call less holds or wants a turn there."""
        row.calls -= 1
        if not row.calls:
            del self._rows[counter]

"""One call on a SQLite file: opened, guarded, stopped when its time is over, and closed.

Rules of this file
- All work is done in threads, one at a time for a call; only `stop` comes from elsewhere. A file that is closed while a
  thread is at it takes the keeper with it: where one is, that thread closes it once it is done.
- A call holds one of its file's places until the file is closed, so that no file's calls take all threads.
- SQLite's own refusals pass through; a lapse of time, of memory or of the call's parameters is told in our words.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar, cast

from brokers.contract import BrokerError, Effect
from brokers.sql import rows
from brokers.sql.room import SQLITE
from brokers.sql.sqlite import cells, spill
from brokers.sql.sqlite.file import File, fetch
from brokers.sql.sqlite.guard import Guard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from brokers.contract import Plan
    from brokers.sql.threads import Threads

T = TypeVar("T")
FAILURES = (sqlite3.Error, sqlite3.Warning)


class Calls:
    """The calls at work, and the places at each file: one is held from a call's start to the closing of its file."""

    def __init__(self) -> None:
        self.open: set[Call] = set()
        self._places: dict[str, tuple[asyncio.Semaphore, set[Call]]] = {}

    async def enter(self, call: Call, path: str) -> None:
        """Wait for a place at the file."""
        places, held = self._places.setdefault(path, (asyncio.Semaphore(SQLITE), set()))
        held.add(call)
        try:
            await places.acquire()
        except BaseException:
            self._left(call, path)
            raise

    def leave(self, call: Call, path: str) -> None:
        """Its file is closed."""
        self._places[path][0].release()
        self._left(call, path)

    def _left(self, call: Call, path: str) -> None:
        self._places[path][1].discard(call)
        if not self._places[path][1]:
            del self._places[path]


class Call:
    """One call's file, and the time it has."""

    def __init__(self, threads: Threads, calls: Calls, plan: Plan, *, write: bool) -> None:
        self._threads, self._calls, self._plan, self._write = threads, calls, plan, write
        self._deadline = asyncio.get_running_loop().time() + plan.limits.timeout
        self._file: File | None = None
        self._stopped = self._placed = False
        self._loop = asyncio.get_running_loop()
        self._turn = threading.Lock()  # over the two that follow, and held for no longer than to look at them
        self._at_work = self._closed = False
        calls.open.add(self)

    async def start(self, work: Callable[[File], T]) -> T:
        """Open the file and do `work` with it. Raises SQLite's errors, and `BrokerError`."""
        plan = self._plan

        def opened() -> T:
            target, seconds = plan.connection.target, plan.limits.timeout
            explained = plan.request["act"] == "estimate"
            kind = {"load": "INSERT"}.get(str(plan.request["act"]), str(plan.request["method"]))
            guard = Guard(
                Effect.DESTROY if explained else plan.effect,
                kind,
                cast("Sequence[str]", target.get("functions") or ()),
                write=self._write or explained,  # what is explained is compiled like what is done
            )
            file = self._file = File(str(target["path"]), seconds, write=self._write)
            if self._stopped:
                raise TimeoutError
            if self._write:
                file.begin()
            file.guarded(guard)
            return work(file)

        try:
            async with asyncio.timeout_at(self._deadline):
                await self._calls.enter(self, str(plan.connection.target["path"]))
        except TimeoutError:
            raise BrokerError("timeout", seconds=max(1, round(plan.limits.timeout))) from None
        self._placed = True
        return await self.run(opened)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, in a thread, within the call's time."""
        seconds = max(1, round(self._plan.limits.timeout))
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._threads.run(lambda: self._alone(work), self.stop)
        except TimeoutError:
            raise BrokerError("timeout", seconds=seconds) from None
        except RuntimeError:  # no thread takes it: the broker is closed
            raise BrokerError("broken") from None
        except MemoryError:
            raise BrokerError("too-large", limit=rows.MAX_CELL) from None
        except FAILURES as error:
            failure = self._failure(error)
            if failure is None:
                raise
            raise failure from None
        except (ValueError, OverflowError):
            raise BrokerError("argument", argument="params", why="a value is larger than any of SQLite's") from None

    def _alone(self, work: Callable[[], T]) -> T:
        with self._turn:
            if self._closed or self._at_work:
                raise TimeoutError
            self._at_work = True
        try:
            if self._file is not None:
                self._file.resume()
            return work()
        finally:
            if self._over():
                self._shut()

    def _over(self) -> bool:
        """The thread is done: whether somebody closed the call meanwhile."""
        with self._turn:
            self._at_work = False
            return self._closed

    def _failure(self, error: sqlite3.Error | sqlite3.Warning) -> BrokerError | None:
        """What it is in our words; None where SQLite's own are the answer."""
        if isinstance(error, sqlite3.ProgrammingError | sqlite3.Warning):  # the module's own words, not SQLite's
            return BrokerError("argument", argument="params", why="one value for each ? of one statement")
        if self._file is not None and self._file.spilled:
            return BrokerError("too-large", limit=spill.MOST)
        if self._file is not None and self._file.late:
            return BrokerError("timeout", seconds=max(1, round(self._plan.limits.timeout)))
        return None

    def stop(self) -> None:
        """End what is at work."""
        self._stopped = True
        if self._file is not None:
            self._file.stop()

    async def aclose(self) -> None:
        """Close the file, in a thread: that rolls back, and a rollback writes. Of what is at work, that does it."""
        self._calls.open.discard(self)
        with self._turn:
            busy, again, self._closed = self._at_work, self._closed, True
        self.stop()
        if busy or again:
            return
        if self._file is None:  # nothing was ever begun
            self._left()
            return
        try:
            await self._threads.last(self._shut)
        except RuntimeError:  # the broker was closed before its last call: what was at work has been stopped
            self._shut()

    def _shut(self) -> None:
        if self._file is not None:
            self._file.close()
        with suppress(RuntimeError):  # the loop is closed, and with it nobody waits for a place
            self._loop.call_soon_threadsafe(self._left)

    def _left(self) -> None:
        if self._placed:
            self._placed = False
            self._calls.leave(self, str(self._plan.connection.target["path"]))

    @property
    def file(self) -> File:
        """The open file."""
        if self._file is None:
            raise BrokerError("broken")
        return self._file


class Reading:
    """The rows of a query, batch by batch, each read in a thread."""

    def __init__(self, call: Call) -> None:
        self.columns: tuple[rows.Column, ...] = ()
        self.facts: dict[str, object] = {}
        self._call = call
        self._cursor: sqlite3.Cursor | None = None
        self._first: list[cells.Row] = []

    def begin(self, file: File, sql: str, params: tuple[object, ...]) -> None:
        """Run the statement and take the first rows."""
        cursor = self._cursor = file.run(sql, params)
        self._first = fetch(cursor)
        self.columns = cells.columns([str(column[0]) for column in cursor.description or ()], self._first)

    async def _batches(self) -> AsyncIterator[list[cells.Row]]:
        batch, cursor = self._first, self._cursor
        while batch and cursor is not None:
            yield batch
            # A short batch was the last one: SQLite gives what it has.
            batch = await self._call.run(lambda: fetch(cursor))

    async def written(self) -> AsyncIterator[Sequence[Sequence[str]]]:
        """Rows of JSON fragments."""
        async for batch in self._batches():
            yield [cells.written(row) for row in batch]

    async def spelled(self) -> AsyncIterator[Sequence[Sequence[str | None]]]:
        """Rows of text, NULL as None."""
        async for batch in self._batches():
            yield [cells.spelled(row) for row in batch]

    async def told(self, bounded: rows.Bounded) -> AsyncIterator[Sequence[Sequence[str]]]:
        """As `written`; a refusal on the way is told at the document's end."""
        try:
            async for batch in self.written():
                yield batch
        except FAILURES as error:
            self.facts["error"] = cells.refusal(error)
            bounded.truncated = True

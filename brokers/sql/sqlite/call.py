"""One call on a SQLite file: opened, guarded, stopped when its time is over, and closed.

Rules of this file
- All work is done in threads, one at a time for a call; only `stop` comes from elsewhere. A file that is closed while a
  thread is at it takes the keeper with it: what closes waits for what works, however long that takes.
- SQLite's own refusals pass through; a lapse of time, of memory or of the call's parameters is told in our words.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, TypeVar, cast

from brokers.contract import BrokerError, Effect
from brokers.sql import rows
from brokers.sql.sqlite import cells, spill
from brokers.sql.sqlite.file import File, fetch
from brokers.sql.sqlite.guard import Guard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from brokers.contract import Plan
    from brokers.sql.threads import Threads

T = TypeVar("T")
FAILURES = (sqlite3.Error, sqlite3.Warning)


class Call:
    """One call's file, and the time it has."""

    def __init__(self, threads: Threads, among: set[Call], plan: Plan, *, write: bool) -> None:
        self._threads, self._among, self._plan, self._write = threads, among, plan, write
        self._deadline = asyncio.get_running_loop().time() + plan.limits.timeout
        self._file: File | None = None
        self._stopped = self._closed = False
        self._at_work = threading.Lock()
        among.add(self)

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

        return await self.run(opened)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, in a thread, within the call's time."""
        seconds = max(1, round(self._plan.limits.timeout))

        def alone() -> T:
            with self._at_work:
                if self._closed:
                    raise TimeoutError
                if self._file is not None:
                    self._file.resume()
                return work()

        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._threads.run(alone, self.stop)
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
        """Close the file, in a thread: that rolls back, and a rollback writes."""
        self._among.discard(self)
        self.stop()

        def close() -> None:
            with self._at_work:
                self._closed = True
                if self._file is not None:
                    self._file.close()

        try:
            await self._threads.run(close, _do_nothing)
        except RuntimeError:  # the broker was closed before its last call: what was at work has been stopped
            close()

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


def _do_nothing() -> None:
    """A close is not aborted."""

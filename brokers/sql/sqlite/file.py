"""A SQLite file, opened for one call: how far the call may go, how much it may hold, when it stops. Blocking.

Rules of this file
- A file is opened, never made. What is pinned is its path: whoever may put another file there decides what is read,
  and a symbolic link leads where a person let it lead.
- Settings first, the authorizer last: from then on the statement cannot change any.
- A connection lives for one call, so that nothing of one is seen by the next.
- A file in WAL mode gets its `-wal` and `-shm` from whoever opens it, a reader too: no row of it is changed by that.
"""

from __future__ import annotations

import sqlite3
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from brokers.contract import BrokerError
from brokers.sql import rows
from brokers.sql.arguments import MAX_PARAMS, MAX_SQL
from brokers.sql.sqlite import costs, spill

if TYPE_CHECKING:
    from brokers.sql.sqlite.guard import Guard

BATCH, BATCH_BYTES = 500, 256 << 10  # rows and bytes that are handed on at once
_CELL, _CELL_LEAST = 16 << 20, 64 << 10  # bytes of one value: at most, and however many there are
_LOCK = 10.0  # seconds to wait for somebody's lock, at most; half of the call's time if that is less
_DEFENSIVE = 1010  # SQLITE_DBCONFIG_DEFENSIVE: no writing to the schema or to raw pages, whatever is set
_SIZED = (str, bytes)
_STEPS = 20_000  # of SQLite's machine between two looks at the clock: below a millisecond
_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL + 64,
    sqlite3.SQLITE_LIMIT_COLUMN: 2000,  # SQLite's own bound
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 1000,  # as above; its parser needs some stack for each
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 500,  # as above
    sqlite3.SQLITE_LIMIT_VDBE_OP: 1_000_000,  # steps of a program: 200 bytes each
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: costs.PATTERN,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: MAX_PARAMS,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_HOLDING = frozenset({"Column", "Function", "PureFunc", "Concat", "AggStep", "AggFinal", "Variable", "String8", "Blob"})
_DIED = "a program has died while it wrote to the file: open it once with sqlite3, which repairs it"
_WAL = "the file is in WAL mode, whose readers too need to write beside it (-wal, -shm), and kv may not"
_NOT_TAKEN = {
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database, or an encrypted one",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened, or one beside it (-wal, -shm) cannot",
    sqlite3.SQLITE_READONLY: "the file may not be written to",
    sqlite3.SQLITE_READONLY_ROLLBACK: _DIED,
    sqlite3.SQLITE_READONLY_RECOVERY: _DIED,
    sqlite3.SQLITE_READONLY_DIRECTORY: _WAL,
    sqlite3.SQLITE_READONLY_CANTINIT: _WAL,
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_IOERR: "the file cannot be read",
    sqlite3.SQLITE_BUSY: "another program holds the file locked",
    sqlite3.SQLITE_PERM: "the file cannot be opened",
}


class File:
    """A connection to the file. `ends` is the monotonic time at which its work stops."""

    def __init__(self, path: str, seconds: float, *, write: bool) -> None:
        self._check(path)
        self._ends, self._stopped = time.monotonic() + seconds, False
        self._spill = None if write else spill.Spill()  # what a write may put on the disk a person has agreed to
        self.spilled = False
        wait = min(_LOCK, seconds / 2)
        mode = "rw" if write else "ro"
        try:
            self._connection = sqlite3.connect(
                f"file:{quote(path)}?mode={mode}", uri=True, timeout=wait, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise _not_taken(error) from None
        try:
            self._prepare(write=write)
        except sqlite3.Error as error:
            self.close()
            raise _not_taken(error) from None

    @staticmethod
    def _check(path: str) -> None:
        try:
            found = Path(path).stat()
        except (OSError, ValueError):
            raise BrokerError("refused", why="there is no such file, or it cannot be reached") from None
        if not stat.S_ISREG(found.st_mode):
            raise BrokerError("refused", why="it is no file")  # a pipe would be waited for

    def _prepare(self, *, write: bool) -> None:
        connection = self._connection
        if hasattr(connection, "enable_load_extension"):  # a Python built without it loads none anyway
            connection.enable_load_extension(False)  # noqa: FBT003 - its only argument
        if hasattr(connection, "setconfig"):  # Python 3.12
            connection.setconfig(_DEFENSIVE, True)  # noqa: FBT003 - as above
        for limit, most in _LIMITS.items():
            connection.setlimit(limit, most)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _CELL)
        connection.text_factory = _text
        connection.set_progress_handler(self._looked_at, _STEPS)
        # A schema may be an attacker's: its views and triggers call nothing that reaches out.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        if not write:
            connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA schema_version").fetchone()  # the first read: what is wrong with the file shows here

    def _late(self) -> bool:
        return self._stopped or time.monotonic() > self._ends

    def _looked_at(self) -> bool:
        """Whether SQLite is to stop, asked by itself while it works."""
        self.spilled = self.spilled or (self._spill is not None and self._spill.over)
        return self.spilled or self._late()

    def resume(self) -> None:
        """Another thread than before may work from now on."""
        if self._spill is not None:
            self._spill.resume()

    @property
    def late(self) -> bool:
        """Whether its time is over, or it was stopped."""
        return self._late()

    def guarded(self, guard: Guard) -> None:
        """Let `guard` judge every statement from now on."""
        self._connection.set_authorizer(guard)

    def begin(self) -> None:
        """Open the transaction of a call that writes."""
        self._connection.execute("BEGIN IMMEDIATE")

    def end(self, *, commit: bool) -> None:
        """Close it. The statement is over, and with it what judged it."""
        self._connection.set_authorizer(None)
        self._connection.execute("COMMIT" if commit else "ROLLBACK")

    def changes(self) -> int:
        """How many rows the last statement touched."""
        return int(self._connection.execute("SELECT changes()").fetchone()[0])

    def run(self, sql: str, params: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """One statement, up to its first row."""
        self._share(sql, params)
        return self._connection.execute(sql, params)

    def many(self, sql: str, found: list[list[object]]) -> int:
        """A statement for each row; how many rows it touched."""
        return self._connection.executemany(sql, found).rowcount

    def _share(self, sql: str, params: tuple[object, ...]) -> None:
        """Share what a row may hold among the values that the statement makes at once, and bound the work on each.

        SQLite bounds one value. Two thousand of them, each made by `zeroblob`, would be held together.
        """
        try:
            steps = self._connection.execute(f"EXPLAIN {sql}", params).fetchall()
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError):
            return  # an EXPLAIN already, or refused as the statement itself will be
        holding = sum(step[1] in _HOLDING for step in steps)
        most = max(_CELL_LEAST, min(_CELL, rows.MAX_CELL // max(1, holding)))
        if self._spill is not None and any(step[1] in spill.OPENING for step in steps):
            self._spill.begin()
            self._connection.set_progress_handler(self._looked_at, spill.STEPS)
        value, pattern = costs.longest(steps, params)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(most, value))
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, pattern)

    def stop(self) -> None:
        """End what is at work, from any thread."""
        self._stopped = True
        self._connection.interrupt()

    def close(self) -> None:
        """Free the file. An open transaction is rolled back."""
        self._connection.close()


def fetch(cursor: sqlite3.Cursor) -> list[tuple[object, ...]]:
    """The next rows; none once there are no more."""
    found: list[tuple[object, ...]] = []
    size = 0
    # One by one: the driver holds all the rows that it is asked for, and one may be of some megabytes.
    while len(found) < BATCH and size < BATCH_BYTES:
        row = cursor.fetchone()
        if row is None:
            break
        found.append(row)
        for cell in row:
            if type(cell) in _SIZED:
                size += len(cell)
    return found


def _text(value: bytes) -> str:
    """TEXT need not be UTF-8: whatever a program bound is in the file."""
    return value.decode("utf-8", "replace")


def _not_taken(error: sqlite3.Error) -> BrokerError:
    code = getattr(error, "sqlite_errorcode", 0)
    known = _NOT_TAKEN.get(code) or _NOT_TAKEN.get(code & 0xFF)
    return BrokerError("refused", why=known or "SQLite does not open the file")

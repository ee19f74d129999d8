"""SQLite, set up so that a hostile file has nothing to use, and its errors told as ours.

Rules of this file
- The only importer of `sqlite3` in the vault. Every connection is made by `connect`.
- SQLite's words never leave: they may quote the file. An error is one of the listed ones.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from kv.errors import KvError
from kv.vault import format as form
from kv.vault.format import damaged

if TYPE_CHECKING:
    from collections.abc import Iterator

Error = sqlite3.Error
Connection = sqlite3.Connection

_WAIT = 2.0  # seconds for another process to finish: a reading of slots, a lock that is just ending
_ROW_MAX = 1 << 21  # bytes: the largest part of a record, padded, with some air

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_DISK = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_AUTH,
}

_PRAGMAS = (
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "mmap_size=0",
    "temp_store=MEMORY",
    "secure_delete=ON",
    "synchronous=FULL",
    "foreign_keys=OFF",
    "recursive_triggers=OFF",
    f"max_page_count={form.PAGES_MAX}",
)
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: _ROW_MAX,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1 << 14,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}


def connect(path: str, options: str = "mode=rw") -> sqlite3.Connection:
    """A connection with everything off that a hostile file could use. `options` are of SQLite's URI."""
    db = sqlite3.connect(_uri(path, options), uri=True, timeout=_WAIT, isolation_level=None)
    try:
        for limit, value in _LIMITS.items():
            db.setlimit(limit, value)
        for pragma in _PRAGMAS:
            db.execute(f"PRAGMA {pragma}").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _uri(path: str, options: str) -> str:
    return f"file:{quote(os.fsencode(path))}?{options}"


@contextmanager
def faults(path: str) -> Iterator[None]:
    """Tell what SQLite reports about `path` as one of the listed errors."""
    try:
        yield
    except sqlite3.ProgrammingError:  # misuse: closed, or another thread
        raise
    except UnicodeDecodeError:  # Python could not read what SQLite wanted to say: it was quoting the file
        raise damaged("its pages are not in order") from None
    except sqlite3.Error as error:
        # Text that is not UTF-8 is found by Python, not by SQLite, and has no code.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise KvError("disk-full") from None
        if code in _BUSY:
            raise KvError("vault-busy") from None
        if code == sqlite3.SQLITE_NOTADB:
            raise KvError("vault-foreign", path=path) from None
        if code in _DISK:
            raise KvError("disk", act="use", path=path, why="the folder or the disk refuses it") from None
        raise damaged("its pages are not in order") from None

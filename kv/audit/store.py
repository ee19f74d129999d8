"""The audit's SQLite file: one table, appended to, opened as if an enemy had written it.

Rules of this file
- The file and its companions are regular, ours alone (0600, one link) and no symlinks; the schema text equals
  `SCHEMA` to the letter: no view, trigger, index or table more. Rows are bounded before they are read.
- An append is on disk (WAL, `synchronous=FULL`) before it returns when it is asked to be durable; otherwise it
  survives the process but perhaps not a power cut (`NORMAL`).
- An append into a file that is no longer the one at its path is refused: a record that nobody can read is none.
- No descriptor of the database is opened beside SQLite's own: closing one would drop its POSIX locks.
- Texts of SQLite never leave: an error is `audit-unwritable`, `audit-broken`, `vault-busy` or `disk`.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from kv.audit.chain import MAC_BYTES, broken
from kv.audit.entry import BODY_MAX
from kv.disk import sync_folder
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = "CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, mac BLOB NOT NULL)"
APPLICATION = 0x6B764175  # "kvAu"
FORMAT = 1

_PAGE = 256  # rows read at a time: no statement stays open while the log is written
_WAIT = 0.2  # seconds for another's lock; the keeper's loop stands still meanwhile
_ASIDE_MAX = 99  # damaged files kept; who damages the log at every unlock must not fill the disk unnoticed
_COMPANIONS = ("-wal", "-shm", "-journal")
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_ERROR}


class Store:
    """An open audit file. Use from one thread."""

    def __init__(self, path: Path, *, fresh: bool, readonly: bool = False) -> None:
        """Open `path`; with `fresh` an absent or empty file becomes a log.

        Raises `audit-broken` for a missing, foreign or damaged file, `disk` for one that is not safe to open.
        """
        self._path = str(path)  # looked at on every append, where a `Path` would cost more than the row
        self._wal = f"{path}-wal"
        if fresh and not os.path.lexists(path):
            _create(path)
        _require_safe(path)
        self._durable = True
        with self._reading():
            self._db = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
        try:
            with self._reading():
                self._prepare(fresh=fresh, readonly=readonly)
                self._identity = self._look()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, *, fresh: bool, readonly: bool) -> None:
        self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * BODY_MAX)
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "synchronous=FULL"):
            self._db.execute(f"PRAGMA {pragma}")
        schema = self._db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchmany(2)
        if fresh and not schema and not self._pragma("application_id"):
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(
                f"BEGIN; PRAGMA application_id={APPLICATION}; PRAGMA user_version={FORMAT}; {SCHEMA}; COMMIT"
            )
            schema = [("table", "entry", "entry", SCHEMA)]
        marks = (self._pragma("application_id"), self._pragma("user_version"))
        if schema != [("table", "entry", "entry", SCHEMA)] or marks != (APPLICATION, FORMAT):
            raise broken(0, "the file is not an audit of kv, or its schema was changed")
        if self._db.execute("PRAGMA journal_mode=WAL").fetchone() != ("wal",):
            raise broken(0, "the file cannot be kept in WAL mode")
        if readonly:
            self._db.execute("PRAGMA query_only=ON")

    def _pragma(self, name: str) -> object:
        return self._db.execute(f"PRAGMA {name}").fetchone()[0]

    def append(self, seq: int, body: bytes, mac: bytes, *, durable: bool) -> None:
        """Write one row, wholly or not at all. Raises `audit-unwritable`."""
        try:
            self._require_ours()
            if durable != self._durable:
                self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            self._db.execute("INSERT INTO entry (seq, body, mac) VALUES (?, ?, ?)", (seq, body, mac))
        except (sqlite3.Error, UnicodeDecodeError, OSError):
            raise KvError("audit-unwritable") from None

    def sync(self) -> None:
        """Return when every row is on disk. Raises `audit-unwritable`."""
        try:
            self._require_ours()
            wal = os.open(self._wal, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(wal)
            finally:
                os.close(wal)
        except OSError:
            raise KvError("audit-unwritable") from None

    def bounds(self) -> tuple[int, int]:
        """The lowest and the highest number; (1, 0) where there is no row."""
        with self._reading():
            low, high = self._db.execute("SELECT min(seq), max(seq) FROM entry").fetchone()
        return (1, 0) if low is None else (low, high)

    def row(self, seq: int) -> tuple[int, bytes, bytes]:
        """Number, body and mac of one entry. Raises `audit-broken` where it is missing."""
        for row in self.rows(seq - 1, seq):
            return row
        raise broken(seq, "it is missing")

    def rows(self, after: int, last: int = (1 << 63) - 1) -> Iterator[tuple[int, bytes, bytes]]:
        """Number, body and mac of the entries `after` < number ≤ `last`, in order. Constant memory."""
        while page := self._page("seq > ? AND seq <= ? ORDER BY seq", after, last):
            for row in page:
                yield _checked(row)
                after = row[0]

    def backwards(self, before: int, first: int) -> Iterator[tuple[int, bytes, bytes]]:
        """The entries `first` ≤ number < `before`, newest first."""
        while page := self._page("seq < ? AND seq >= ? ORDER BY seq DESC", before, first):
            for row in page:
                yield _checked(row)
                before = row[0]

    def _page(self, where: str, *bounds: int) -> list[tuple[int, object, object]]:
        with self._reading():
            query = f"SELECT seq, body, mac FROM entry WHERE {where} LIMIT {_PAGE}"  # noqa: S608  # our own literals
            return self._db.execute(query, bounds).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:  # misuse: closed, or another thread
            raise
        except UnicodeDecodeError:  # Python could not read what SQLite wanted to say: it was quoting the file
            raise broken(0, "the file is damaged") from None
        except sqlite3.Error as error:
            # Text that is not UTF-8 where bytes belong is found by Python, not by SQLite, and has no code.
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
            if code in _DAMAGE:
                raise broken(0, "the file is damaged") from None
            if code == sqlite3.SQLITE_BUSY:
                raise KvError("vault-busy") from None
            if code == sqlite3.SQLITE_FULL:
                raise KvError("disk-full") from None
            raise KvError("disk", act="open", path=self._path, why="the folder or the disk refuses it") from None
        except OSError as error:
            raise _disk("open", self._path, error) from None

    def _require_ours(self) -> None:
        if self._look() != self._identity:
            raise KvError("audit-unwritable")

    def _look(self) -> tuple[int, ...]:
        """Which files stand at our paths. Raises `OSError` where one is gone."""
        log, wal = os.lstat(self._path), os.lstat(self._wal)
        return (log.st_dev, log.st_ino, wal.st_dev, wal.st_ino)

    def close(self) -> None:
        """Close back to a single file. Never raises: locking has to end."""
        with suppress(sqlite3.Error):
            self._db.close()


def set_aside(path: Path) -> Path:
    """Rename a damaged log and its companions, as evidence: `NAME.broken-N`. Raises `disk`."""
    for number in range(1, _ASIDE_MAX + 1):
        aside = path.with_name(f"{path.name}.broken-{number}")
        if not os.path.lexists(aside):
            break
    else:
        raise KvError("disk", act="set aside", path=str(path), why=f"{_ASIDE_MAX} damaged logs stand beside it")
    try:
        for suffix in ("", *_COMPANIONS):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        sync_folder(str(path.parent))
    except OSError as error:
        raise _disk("set aside", path, error) from None
    return aside


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        sync_folder(str(path.parent))
    except OSError as error:
        raise _disk("create", path, error) from None


def _require_safe(path: Path) -> None:
    for suffix in ("", *_COMPANIONS):
        each = path.with_name(path.name + suffix)
        try:
            found = os.lstat(each)
        except FileNotFoundError:
            if suffix:
                continue
            raise broken(0, "the file is missing") from None
        except OSError as error:
            raise _disk("open", each, error) from None
        if why := _unsafe(found):
            raise KvError("disk", act="open", path=str(each), why=why)


def _unsafe(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "it is not a regular file"
    if found.st_uid != os.geteuid():
        return "it belongs to another user"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return "others can reach it (chmod 600)"
    return "it has a second name (hard link)" if found.st_nlink != 1 else ""


def _disk(act: str, path: Path | str, error: OSError) -> KvError:
    return KvError("disk", act=act, path=str(path), why=os.strerror(error.errno or 0))


def _checked(row: tuple[int, object, object]) -> tuple[int, bytes, bytes]:
    """A row as the chain takes it: SQLite holds any type in any column of a file that was edited."""
    seq, body, mac = row
    if not isinstance(body, bytes) or not isinstance(mac, bytes) or len(mac) != MAC_BYTES:
        raise broken(seq, "it is not an entry")
    return seq, body, mac

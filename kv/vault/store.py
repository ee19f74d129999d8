"""The database under a vault, opened as if an enemy had written it. Sealed bytes only: no key comes here.

Rules of this file
- Before a row is believed: SQLite's own check found nothing, the schema is ours to the letter, the size is what the
  header says. All of that comes after a leftover journal was played back, since that may have been planted.
- A transaction is on disk (WAL, `synchronous=FULL`) when it returns, in the file that stands at the vault's path.
- At rest a vault is one file: `close` folds the journal back and leaves WAL mode.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

from kv.errors import KvError
from kv.vault import file
from kv.vault import format as form
from kv.vault.database import Error, connect, faults
from kv.vault.format import PartRow, SlotRow, damaged

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

Purpose = Literal["own", "slots", "copy"]

_BATCH = 256  # rows read at a time, so that no statement stays open while rows are written
_SLOT_TYPES = (int, int, int, int, int, bytes, bytes, bytes, bytes)
_PART = "SELECT id, revision, part, nonce, tag, sealed FROM records"
_MARK = "SELECT id, revision, part, tag FROM records"


class Store:
    """An open database. Use from one thread; every method raises `KvError`."""

    def __init__(self, path: str, purpose: Purpose = "own") -> None:
        """Open and check the vault at `path`: as its one owner, for its slots beside others, or as a copy at rest.

        Raises `vault-missing`, `vault-unsafe`, `vault-foreign`, `vault-version`, `vault-damaged`, `vault-busy`, `disk`.
        """
        self.path = path
        if purpose != "copy":
            file.check_place(path)
        self._wal = f"{path}-wal"
        self._in_place: dict[str, file.Identity] = {}
        with faults(path):
            self._held = file.hold(path)
            try:
                file.check_shape(path, whole=purpose == "copy" or not file.has_companions(path))
                self._db = connect(path, "mode=ro&immutable=1" if purpose == "copy" else "mode=rw")
                try:
                    self._check(purpose)
                except BaseException:
                    self._db.close()
                    raise
            except BaseException:
                file.let_go(self._held)
                raise
        self._closed = False

    def _check(self, purpose: Purpose) -> None:
        if purpose == "own":
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone()
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute("COMMIT")
            # What a killed keeper, or an enemy, left beside the file is folded in, and then checked.
            if self._db.execute("PRAGMA journal_mode=DELETE").fetchone() != ("delete",):
                raise KvError("vault-busy")
        if self._pragma("application_id") != form.APPLICATION:
            raise KvError("vault-foreign", path=self.path)
        version = self._pragma("user_version")
        if version != form.VERSION:
            raise KvError("vault-version", version=version)
        found = self._db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
        if found.fetchmany(len(form.SCHEMA) + 1) != [("table", name, name, sql) for name, sql in form.SCHEMA.items()]:
            raise damaged("its schema was changed")
        if purpose != "slots":
            self._check_pages()

    def _check_pages(self) -> None:
        if (self._pragma("page_size"), self._pragma("encoding")) != (form.PAGE, "UTF-8"):
            raise damaged("its pages have another size, or its texts another encoding")
        if file.size(self.path) != self._pragma("page_count") * form.PAGE:
            raise damaged("it is cut short, or something was added at its end")
        # Lists what it finds instead of raising; one line is one too many.
        if self._db.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
            raise damaged("its pages are not in order")

    def _pragma(self, name: str) -> Any:  # noqa: ANN401 - a number or a text, to compare
        return self._db.execute(f"PRAGMA {name}").fetchone()[0]

    def begin_writing(self) -> None:
        """Go over to the write-ahead log: from here on a transaction costs one fsync."""
        with faults(self.path):
            if self._db.execute("PRAGMA journal_mode=WAL").fetchone() != ("wal",):
                raise KvError("disk", act="write", path=self.path, why="its folder allows no journal")
            self._in_place = {self.path: file.identity(self.path)}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and on disk at the end. Raises `disk-full`, `disk`, `vault-damaged`."""
        with faults(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._require_in_place()
                self._db.execute("COMMIT")
            except BaseException:
                # The log keeps the size of what is rolled back, and that may be all the room that the disk had.
                for statement in ("ROLLBACK", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    with suppress(Error):
                        self._db.execute(statement).fetchone()
                raise
            self._in_place.setdefault(self._wal, file.identity(self._wal))  # made by the first write

    def _require_in_place(self) -> None:
        """A write into a file that was moved away or replaced would be acknowledged and then gone."""
        if any(file.identity(path) != known for path, known in self._in_place.items()):
            raise damaged("another file was put in its place while it was open")

    # -- rows ----------------------------------------------------------------------------------

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with faults(self.path):
            return self._db.execute(query, values).fetchall()

    def vault_id(self) -> bytes:
        """The vault's id. Raises `vault-version` for a header of another format."""
        rows = self._rows("SELECT magic, format, vault FROM header LIMIT 2")
        if len(rows) != 1 or tuple(map(type, rows[0])) != (str, int, bytes):
            raise damaged("its header is malformed")
        magic, version, vault = rows[0]
        if version != form.VERSION:
            raise KvError("vault-version", version=version)
        if magic != form.MAGIC or len(vault) != form.VAULT_ID:
            raise damaged("its header is malformed")
        return bytes(vault)

    def slots(self) -> list[SlotRow]:
        """Every slot, of known kinds and others."""
        rows = self._rows("SELECT * FROM slots ORDER BY id LIMIT ?", form.SLOTS_MAX + 1)
        if len(rows) > form.SLOTS_MAX or not all(map(_is_slot, rows)):
            raise damaged("its slots are malformed, or too many")
        return [SlotRow(*row) for row in rows]

    def put_slot(self, slot: SlotRow) -> None:
        """Write a slot in place of the one with its number."""
        self._db.execute("REPLACE INTO slots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", slot)

    def head(self) -> tuple[bytes, bytes]:
        """Nonce and seal of the head."""
        rows = self._rows("SELECT one, nonce, sealed FROM head LIMIT 2")
        if len(rows) != 1 or tuple(map(type, rows[0])) != (int, bytes, bytes):
            raise damaged("its head is missing, or malformed")
        return rows[0][1], rows[0][2]

    def put_head(self, nonce: bytes, sealed: bytes) -> None:
        """Write the head."""
        self._db.execute("UPDATE head SET nonce = ?, sealed = ?", (nonce, sealed))

    def marks(self) -> Generator[tuple[Any, ...], None, None]:
        """(id, revision, part, tag) of every row, in the table's order; nothing may be written meanwhile."""
        with faults(self.path):
            yield from self._db.execute(_MARK)

    def marks_of(self, record: bytes, below: int) -> list[tuple[Any, ...]]:
        """The same of one record's revisions under `below`."""
        return self._rows(f"{_MARK} WHERE id = ? AND revision < ?", record, below)

    def newest(self, record: bytes, part: int) -> PartRow | None:
        """The newest row of that part of a record."""
        return _one(self._rows(f"{_PART} WHERE id = ? AND part = ? ORDER BY revision DESC LIMIT 1", record, part))

    def part(self, record: bytes, revision: int, part: int) -> PartRow | None:
        """That very row."""
        return _one(self._rows(f"{_PART} WHERE id = ? AND revision = ? AND part = ?", record, revision, part))

    def parts(self, record: bytes, part: int) -> list[PartRow]:
        """That part of every revision of a record, newest first."""
        rows = self._rows(f"{_PART} WHERE id = ? AND part = ? ORDER BY revision DESC", record, part)
        return list(map(PartRow._make, rows))

    def every_newest(self, part: int) -> Iterator[PartRow]:
        """The newest row of that part of every record, by id."""
        after, select = b"", "SELECT id, max(revision), part, nonce, tag, sealed FROM records"
        where = f"WHERE part = ? AND id > ? GROUP BY id ORDER BY id LIMIT {_BATCH}"
        while rows := self._rows(f"{select} {where}", part, after):
            yield from map(PartRow._make, rows)
            after = rows[-1][0]

    def insert(self, row: PartRow) -> None:
        """Add a row."""
        self._db.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", row)

    def drop(self, record: bytes, below: int) -> None:
        """Remove a record's revisions under `below`."""
        self._db.execute("DELETE FROM records WHERE id = ? AND revision < ?", (record, below))

    # -- the whole -----------------------------------------------------------------------------

    def copy_to(self, path: str) -> None:
        """Copy the database into the empty file at `path` by SQLite's own backup, as a vault at rest."""
        with faults(path):
            target = connect(path)
            try:
                target.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone()
                self._db.backup(target)
                target.execute("PRAGMA journal_mode=DELETE").fetchone()
            finally:
                target.close()

    def close(self) -> None:
        """Back to a single file. Never raises: locking has to end, and what is left beside the file is no loss."""
        if self._closed:
            return
        self._closed = True
        if self._in_place:
            for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA journal_mode=DELETE"):
                with suppress(Error):
                    self._db.execute(statement).fetchone()
        with suppress(Error):
            self._db.close()
        file.let_go(self._held)


def build(path: str, vault: bytes, slots: list[SlotRow], head: tuple[bytes, bytes]) -> None:
    """Make the empty file at `path` a vault without records. Raises `disk-full`, `disk`."""
    with faults(path):
        db = connect(path)
        try:
            db.execute(f"PRAGMA page_size={form.PAGE}")
            db.execute("BEGIN EXCLUSIVE")
            db.execute(f"PRAGMA application_id={form.APPLICATION}")
            db.execute(f"PRAGMA user_version={form.VERSION}")
            for statement in form.SCHEMA.values():
                db.execute(statement)
            db.execute("INSERT INTO header VALUES (1, ?, ?, ?)", (form.MAGIC, form.VERSION, vault))
            db.executemany("INSERT INTO slots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", slots)
            db.execute("INSERT INTO head VALUES (1, ?, ?)", head)
            db.execute("COMMIT")
        finally:
            db.close()


def _is_slot(row: tuple[Any, ...]) -> bool:
    return (
        tuple(map(type, row)) == _SLOT_TYPES
        and all(0 <= number < 1 << 32 for number in row[:5])
        and all(len(data) <= form.OPAQUE_MAX for data in row[5:])
    )


def _one(rows: list[tuple[Any, ...]]) -> PartRow | None:
    return PartRow(*rows[0]) if rows else None

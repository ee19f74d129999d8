"""Records: from a kind and a name to sealed rows and back.

Rules of this file
- A part opens under its own id, revision and part alone, and the name inside must lead back to that id.
- Opened values are wiped here but for the one copy that goes into a `Secret`.
- Who writes says so to a `Tally`: rows and head change in one transaction, or not at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kv.errors import KvError
from kv.vault import box
from kv.vault.contents import Record, check_value, decode_meta, encode_meta, lookup, same_meta
from kv.vault.format import (
    META,
    RECORD_ID,
    REVISIONS_KEPT,
    TAG,
    VALUE,
    PartRow,
    damaged,
    pad,
    record_aad,
    unpad,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kv.vault.head import Tally
    from kv.vault.keys import Keys
    from kv.vault.store import Store


class Records:
    """The records of one open vault. Raises `vault-damaged` for what does not open, and what `Store` raises."""

    def __init__(self, store: Store, keys: Keys, vault: bytes) -> None:
        self._store, self._keys, self._vault = store, keys, vault

    def id(self, kind: str, name: str) -> bytes:
        """A record's id: 16 bytes of a keyed hash, so that a file's reader learns no name."""
        return box.mac(self._keys.names, lookup(kind, name), RECORD_ID)

    def newest(self, record: bytes) -> Record | None:
        """The newest revision, or None."""
        row = self._store.newest(record, META)
        return None if row is None else self._meta(row)

    def at(self, record: bytes, revision: int) -> Record | None:
        """That revision, or None."""
        row = self._store.part(record, revision, META)
        return None if row is None else self._meta(row)

    def history(self, record: bytes) -> list[Record]:
        """Every kept revision, newest first."""
        return [self._meta(row) for row in self._store.parts(record, META)]

    def value(self, record: bytes, revision: int | None) -> bytes | None:
        """The value of that revision, or of the newest; None where there is none."""
        row = self._store.newest(record, VALUE) if revision is None else self._store.part(record, revision, VALUE)
        return None if row is None else self._open(row)

    def all(self) -> Iterator[Record]:
        """The newest revision of every record, in the order of the ids."""
        return map(self._meta, self._store.every_newest(META))

    def put(self, tally: Tally, said: Record, value: bytes | None) -> Record:
        """Write what is `said` as the newest revision, whatever number it has, and `value`, or else the value before.

        Nothing is written where nothing is new.
        """
        record = self.id(said.kind, said.name)
        newest = self.newest(record)
        if newest is None:
            return self._write(tally, record, replace(said, revision=1), value)
        if value is None:
            if same_meta(newest, said.meta):
                return newest
            value = self.value(record, newest.revision)
        return self._write(tally, record, replace(said, revision=newest.revision + 1), value)

    def again(self, tally: Tally, newest: Record, said: Record, now: float) -> Record:
        """Write what an earlier revision `said` as the one after `newest`."""
        record = self.id(said.kind, said.name)
        value = self.value(record, said.revision)
        return self._write(tally, record, replace(said, revision=newest.revision + 1, created=now), value)

    def move(self, tally: Tally, history: list[Record], name: str, now: float) -> Record:
        """Write a record's `history` under another name; the move is its newest revision. The old rows go."""
        newest = history[0]
        source, target = self.id(newest.kind, newest.name), self.id(newest.kind, name)
        for said in reversed(history):
            self._write(tally, target, replace(said, name=name), self.value(source, said.revision))
        moved = replace(newest, name=name, revision=newest.revision + 1, created=now)
        written = self._write(tally, target, moved, self.value(source, newest.revision))
        self.drop(tally, source, moved.revision)
        return written

    def _write(self, tally: Tally, record: bytes, said: Record, value: bytes | None) -> Record:
        meta = encode_meta(said.kind, said.name, said.created, said.meta)
        for part, content in ((META, meta), (VALUE, value)):
            if content is not None:
                row = self._seal(record, said.revision, part, content)
                self._store.insert(row)
                tally.add((record, said.revision, part, row.tag))
        self.drop(tally, record, said.revision - REVISIONS_KEPT + 1)
        return decode_meta(meta, said.revision)

    def drop(self, tally: Tally, record: bytes, below: int) -> None:
        """Remove the revisions under `below`."""
        for mark in self._store.marks_of(record, below):
            tally.remove(mark)
        self._store.drop(record, below)

    def _seal(self, record: bytes, revision: int, part: int, content: bytes) -> PartRow:
        padded = pad(content)
        nonce, sealed = box.seal(self._keys.records, padded, record_aad(self._vault, record, revision, part))
        box.wipe(padded)
        return PartRow(record, revision, part, nonce, sealed[-TAG:], sealed[:-TAG])

    def _open(self, row: PartRow) -> bytes:
        if not isinstance(row.sealed, bytes):  # SQLite keeps any type in any column, and a number has no length
            raise damaged("a record does not open")
        padded = bytearray(len(row.sealed))
        try:
            aad = record_aad(self._vault, row.id, row.revision, row.part)
            box.unseal(self._keys.records, row.nonce, row.sealed + row.tag, aad, padded)
            content = unpad(padded)
            return content if row.part == META else check_value(content)
        except (box.Forged, ValueError, TypeError, KvError):  # the nonce and the tag may be of any type, too
            raise damaged("a record does not open") from None
        finally:
            box.wipe(padded)

    def _meta(self, row: PartRow) -> Record:
        try:
            record = decode_meta(self._open(row), row.revision)
        except ValueError:
            raise damaged("a record is malformed") from None
        if self.id(record.kind, record.name) != row.id:
            raise damaged("a record stands under another's name")
        return record

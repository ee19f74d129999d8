"""An open, unlocked vault: the object that everyone else uses.

Rules of this file
- Every change is one transaction with its new head; what is in memory changes after it is on disk.
- A value is opened when it is asked for, from the key in the arena, and kept nowhere.
- Older than seen: it opens, says so, and refuses every change.
- Not thread-safe; owned by the keeper, or by the command that makes a vault.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from brokers.contract import Secret
from kv.errors import KvError
from kv.vault import head as heads
from kv.vault.backup import back_up
from kv.vault.contents import Record, check_kind, check_name, check_value
from kv.vault.creation import create
from kv.vault.format import damaged
from kv.vault.keys import Keys, Label, RootKey
from kv.vault.names import Names
from kv.vault.records import Records
from kv.vault.slots import (
    Passphrase,
    PublicSlot,
    Recovery,
    UnlockKey,
    find_slot,
    open_slot,
    read_slot,
    unlock,
)
from kv.vault.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from kv.vault.kdf import KdfParameters

__all__ = ["Passphrase", "PublicSlot", "Recovery", "RootKey", "UnlockKey", "Vault", "open_slot", "read_slot"]

Row = tuple[str, str, "Mapping[str, object]", "bytes | None"]  # kind, name, meta, value


class Vault:
    """An unlocked vault. Everything here raises `KvError`: `locked` after `close`, and what `Store` raises.

    `seen` is the generation that the opener had seen before, or None.
    """

    def __init__(self, store: Store, keys: Keys, seen: int | None, *, accept_older: bool) -> None:
        self._store, self._keys, self.seen = store, keys, seen
        self.path = store.path
        self._head = heads.verify(keys, store)
        self.id = store.vault_id()
        self._slots = store.slots()
        self.older = seen is not None and self._head.generation < seen
        self.read_only = self.older and not accept_older
        self._records = Records(store, keys, self.id)
        self._names = Names(self._records.all)
        self._closed = False
        if not self.read_only:
            store.begin_writing()

    @classmethod
    def create(cls, path: str | os.PathLike[str], passphrase: bytes, *, kdf: KdfParameters) -> tuple[Self, str]:
        """Make a vault and open it; its recovery code comes with it, and is kept nowhere else.

        Raises `vault-exists`, `weak-passphrase`, `vault-kdf`, `vault-unsafe`, `disk`, `disk-full`.
        """
        path = os.path.abspath(path)
        root, code = create(path, passphrase, kdf)
        with root:
            return cls.open(path, root), code

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], key: UnlockKey, *, seen: int | None = None, accept_older: bool = False
    ) -> Self:
        """Check the file, open a slot of it with `key`, check every row. `seen`: the last generation seen of it.

        Raises `vault-missing`, `vault-unsafe`, `vault-foreign`, `vault-version`, `vault-kdf`, `vault-damaged`,
        `vault-busy`, `wrong-passphrase`, `wrong-recovery`, `disk`, `disk-full`. A root key stays the caller's.
        """
        store = Store(os.path.abspath(path))
        keys = None
        try:
            root = unlock(key, store.vault_id(), store.slots())
            keys = Keys(root)
            if root is not key:
                root.close()
            return cls(store, keys, seen, accept_older=accept_older)
        except BaseException:
            if keys is not None:
                keys.close()
            store.close()
            raise

    def close(self) -> None:
        """Fold the journal back into the one file, and wipe the keys. Idempotent; never raises."""
        self._closed = True
        self._keys.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _require_open(self) -> None:
        if self._closed:
            raise KvError("locked")

    @property
    def generation(self) -> int:
        """How many times it was changed since it was made."""
        return self._head.generation

    @property
    def key_kind(self) -> str:
        """How well the keys are kept in memory: "secret", "locked" or "plain" (`arena.Arena`)."""
        return self._keys.root.kind

    # -- reading -------------------------------------------------------------------------------

    def _id(self, kind: str, name: str) -> bytes:
        self._require_open()
        return self._records.id(check_kind(kind), check_name(name))

    def get(self, kind: str, name: str) -> Record | None:
        """The newest revision, without its value. Raises `bad-name`."""
        return self._records.newest(self._id(kind, name))

    def value(self, kind: str, name: str, revision: int | None = None) -> Secret:
        """The value, opened only now. Raises `unknown-secret`, `unknown-revision`."""
        value = self._records.value(self._id(kind, name), revision)
        if value is None:
            raise _unknown(name, revision)
        return Secret(name, value)

    def history(self, kind: str, name: str) -> list[Record]:
        """The kept revisions, newest first; none of a record that is not there."""
        return self._records.history(self._id(kind, name))

    def records(self, kind: str) -> Iterator[Record]:
        """The newest revision of every record of a kind. Opens all metadata: O(n)."""
        self._require_open()
        check_kind(kind)
        return (record for record in self._records.all() if record.kind == kind)

    def names(self, kind: str) -> list[str]:
        """The names of a kind, sorted. O(n) the first time."""
        self._require_open()
        return sorted(self._names.of(check_kind(kind)))

    def count(self, kind: str) -> int:
        """How many records of a kind there are. O(n) the first time."""
        self._require_open()
        return len(self._names.of(check_kind(kind)))

    # -- changing ------------------------------------------------------------------------------

    @contextmanager
    def _changing(self, **changes: bytes) -> Iterator[heads.Tally]:
        """One transaction: the rows that are told to the tally, and a head with them and `changes` in it."""
        self._require_open()
        if self.read_only:
            raise KvError("vault-older", found=self.generation, seen=self.seen or 0)
        tally = heads.Tally(self._keys)
        with self._store.transaction():
            yield tally
            head = heads.after(self._head, tally)._replace(**changes)  # type: ignore[arg-type]  # fields of `Head`
            self._store.put_head(*heads.seal(self._keys, self.id, head))
        self._head = head

    def put(
        self, kind: str, name: str, meta: Mapping[str, object], value: bytes | None = None, *, now: float
    ) -> Record:
        """Write one record: see `put_many`."""
        return self.put_many([(kind, name, meta, value)], now=now)[0]

    def put_many(self, rows: Iterable[Row], *, now: float) -> list[Record]:
        """Write records, all or none. Each gets a new revision if a value is given or `meta` is another.

        Value None keeps the value there is. The last 10 revisions are kept. Raises `bad-name`, `value-size`,
        `too-large`, `vault-older`, `disk-full`, `disk`.
        """
        given = _checked(rows, now)
        with self._changing() as tally:
            written = [self._records.put(tally, said, value) for said, value in given]
        for record in written:
            self._names.add(record)
        return written

    def rename(self, kind: str, old: str, new: str, *, now: float, also: Iterable[Row] = ()) -> Record:
        """Give a record another name. Its history goes along, and the move is its newest revision.

        `also`: what names it elsewhere, written with it, all or none. Raises `unknown-secret`, `exists`, and what
        `put_many` raises.
        """
        history, given = self.history(kind, old), _checked(also, now)
        if not history:
            raise _unknown(old, None)
        if self.get(kind, new) is not None:
            raise KvError("exists", name=new)
        with self._changing() as tally:
            moved = self._records.move(tally, history, new, now)
            written = [self._records.put(tally, said, value) for said, value in given]
        self._names.drop(history[0])
        for record in (moved, *written):
            self._names.add(record)
        return moved

    def delete(self, kind: str, name: str) -> None:
        """Remove a record with its history. Raises `unknown-secret`, `vault-older`, `disk-full`, `disk`."""
        newest = self.get(kind, name)
        if newest is None:
            raise _unknown(name, None)
        with self._changing() as tally:
            self._records.drop(tally, self._id(kind, name), newest.revision + 1)
        self._names.drop(newest)

    def restore(self, kind: str, name: str, revision: int, *, now: float) -> Record:
        """Make an earlier revision the newest again. Raises `unknown-secret`, `unknown-revision`."""
        newest, said = self.get(kind, name), self._records.at(self._id(kind, name), revision)
        if newest is None or said is None:
            raise _unknown(name, revision if newest else None)
        with self._changing() as tally:
            return self._records.again(tally, newest, said, now)

    # -- slots and head ------------------------------------------------------------------------

    def public_slot(self, kind: str = "passphrase") -> PublicSlot:
        """What a client needs to open the slot of `kind` ("passphrase", "recovery") itself."""
        return find_slot(self.id, self._slots, kind)

    def replace_slot(self, kind: str, slot: PublicSlot) -> None:
        """Put a slot that a client sealed in the place of the one of its kind. Raises `vault-damaged` if it is none."""
        self._require_open()
        before = self.public_slot(kind)
        if (slot.vault, slot.row.id, slot.row.kind) != (before.vault, before.row.id, before.row.kind):
            raise damaged("a slot is of another vault or kind")
        slots = [slot.row if row.id == slot.row.id else row for row in self._slots]
        with self._changing(slots=heads.slots_mac(self._keys, self.id, slots)):
            self._store.put_slot(slot.row)
        self._slots = slots

    @property
    def audit_head(self) -> bytes:
        """What `seal_audit_head` sealed last; empty before the first."""
        return self._head.audit

    def seal_audit_head(self, head: bytes) -> None:
        """Keep the audit's head, at most 127 bytes. Raises `ValueError` for more."""
        with self._changing(audit=bytes(head)):
            pass

    def subkey(self, label: Label) -> AbstractContextManager[memoryview]:
        """A subkey for others, 32 bytes, wiped at the end of the `with`."""
        self._require_open()
        return self._keys.root.subkey(label)

    def backup(self, target: str | os.PathLike[str]) -> None:
        """A copy of the sealed file at `target`, which must not exist; opened and checked before this returns.

        Raises `vault-exists`, `disk`, `disk-full`, `vault-damaged`.
        """
        self._require_open()
        back_up(self._store, self._keys, self._head, os.fspath(target))


def _checked(rows: Iterable[Row], now: float) -> list[tuple[Record, bytes | None]]:
    """Rows as records to write. Raises `bad-name`, `value-size`."""
    given = [(Record(check_kind(kind), check_name(name), 0, now, dict(meta)), v) for kind, name, meta, v in rows]
    for _, value in given:
        if value is not None:
            check_value(value)
    return given


def _unknown(name: str, revision: int | None) -> KvError:
    if revision is None:
        return KvError("unknown-secret", name=name, similar="")
    return KvError("unknown-revision", name=name, revision=revision)

"""The sealed head: which rows and which slots are this generation of the vault, no other set of them.

The digest over all rows is MSet-Add-Hash (Clarke, Devadas, van Dijk, Gassend and Suh, ASIACRYPT 2003): the sum
modulo 2^256 of a keyed BLAKE2b-256 of each row's (id, revision, part, tag). A row is added or taken away in O(1), and
the order does not matter. Who has not the key sees neither a sum nor a summand, and a row occurs once (it has the
primary key), so another set of rows matches with probability 2^-256, and only an unlock tells whether it did. The
known ways to forge such a sum (generalized birthdays, lattices) start from the summands.

Rules of this file
- The tag stands for the row: it authenticates the ciphertext under its id, revision and part.
- Immutable: a transaction makes the next head, and the vault takes it over once it is on disk.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from struct import error as StructError  # noqa: N812 - an exception, as such are named
from typing import TYPE_CHECKING, Any

from kv.vault import box
from kv.vault.format import (
    DIGEST,
    GENERATION_MAX,
    HEAD_BYTES,
    MARK,
    PERSON,
    TAG,
    VALUE,
    Head,
    damaged,
    head_aad,
    pack_head,
    record_mark,
    slots_message,
    unpack_head,
)
from kv.vault.slots import KINDS, find_slot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kv.vault.format import SlotRow
    from kv.vault.keys import Keys
    from kv.vault.store import Store

_MODULUS = 1 << (8 * DIGEST)


class Tally:
    """What a transaction changes in the set of rows: how many, and the sum of their hashes."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.set
        self.rows = 0
        self.sum = 0

    def add(self, row: tuple[bytes, int, int, bytes]) -> None:
        """Count (id, revision, part, tag) in."""
        self.rows += 1
        self.sum += self._hash(row)

    def remove(self, row: tuple[bytes, int, int, bytes]) -> None:
        """Count it out."""
        self.rows -= 1
        self.sum -= self._hash(row)

    def _hash(self, row: tuple[bytes, int, int, bytes]) -> int:
        record, revision, part, tag = row
        return int.from_bytes(box.mac(self._key, record + record_mark(revision, part) + tag), "big")


def scan(keys: Keys, rows: Iterable[tuple[Any, ...]]) -> tuple[int, bytes]:
    """How many rows, and the digest of their set. Raises `KvError("vault-damaged")` for rows out of order or shape.

    In strict order they are found by searching as well as by walking: a tree that shows the walker a row which the
    searcher misses has one out of order, or an id of the right bytes and the wrong type.
    """
    # hashlib, since a call from Python costs it half of what it costs cffi, and this is done for every row. The
    # state that the key goes into is wiped when it is freed.
    fresh = hashlib.blake2b(key=keys.set, digest_size=DIGEST, person=PERSON)
    count, total, last, number = 0, 0, b"", int.from_bytes
    try:
        for record, revision, part, tag in rows:
            mark = record + record_mark(revision, part)
            if mark <= last or len(mark) != MARK or len(tag) != TAG:
                raise damaged("its records are not in order")
            if part == VALUE and mark[:-1] != last[:-1]:
                raise damaged("a value has no record")
            last = mark
            each = fresh.copy()
            each.update(mark + tag)
            total += number(each.digest(), "big")
            count += 1
    except (TypeError, StructError):  # SQLite keeps any type in any column
        raise damaged("its records are malformed") from None
    return count, (total % _MODULUS).to_bytes(DIGEST, "big")


def first(keys: Keys, vault: bytes, slots: list[SlotRow]) -> Head:
    """The head of a new, empty vault."""
    return Head(1, 0, bytes(DIGEST), slots_mac(keys, vault, slots), b"")


def after(head: Head, tally: Tally) -> Head:
    """The head of the next generation, with the rows that `tally` counted."""
    if head.generation >= GENERATION_MAX:
        raise damaged("its generations are used up")
    total = (int.from_bytes(head.digest, "big") + tally.sum) % _MODULUS
    return head._replace(
        generation=head.generation + 1, rows=head.rows + tally.rows, digest=total.to_bytes(DIGEST, "big")
    )


def seal(keys: Keys, vault: bytes, head: Head) -> tuple[bytes, bytes]:
    """Nonce and seal, as the file has them."""
    return box.seal(keys.head, pack_head(head), head_aad(vault))


def verify(keys: Keys, store: Store) -> Head:
    """The head, once slots and records are found to be the ones it says. Raises `vault-damaged`, `vault-kdf`."""
    vault = store.vault_id()
    packed = bytearray(HEAD_BYTES)
    try:
        nonce, sealed = store.head()
        box.unseal(keys.head, nonce, sealed, head_aad(vault), packed)
        head = unpack_head(bytes(packed))
    except (box.Forged, ValueError):
        raise damaged("its head does not open") from None
    slots = store.slots()
    if head.slots != slots_mac(keys, vault, slots):
        raise damaged("its slots were changed")
    for kind in KINDS:  # also the slot that nobody opens now has to be one
        find_slot(vault, slots, kind)
    with closing(store.marks()) as rows:
        same = (head.rows, head.digest) == scan(keys, rows)
    if not same:
        raise damaged("records were dropped, put in, swapped or brought back")
    return head


def slots_mac(keys: Keys, vault: bytes, slots: list[SlotRow]) -> bytes:
    """What the head says of header and slots, 32 bytes."""
    return box.mac(keys.slots, slots_message(vault, slots))

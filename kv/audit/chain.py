"""The chain: which key signs which entry, and what a head is. Pure.

    epoch key   k(first) = HMAC(subkey, "kv audit epoch 1" || epoch, 8 bytes || mac before the epoch)
    ratchet     k(n+1)   = HMAC(k(n), "ratchet")
    mac         mac(n)   = HMAC(k(n), mac(n-1) || body(n))           mac(0) = 32 zero bytes

HMAC is HMAC-SHA-256, full width; numbers are big-endian. An epoch is one unlock.

Rules of this file
- The writer (`Chain`) holds one key, that of the *next* entry: none that signed anything. So who steals memory
  cannot sign the past anew. (Python may leave freed copies of a key behind; the keeper's exit ends those.)
- The subkey is used once per epoch and not kept: with it alone everything can be derived again, to verify.
- The mac before an epoch is part of its key, so an epoch cannot be moved onto another history.

Forward security of logs by a ratcheted MAC key: Bellare and Yee, "Forward Integrity for Secure Audit Logs" (1997).
"""

from __future__ import annotations

import hmac
import struct
from typing import TYPE_CHECKING, NamedTuple

from kv.audit.entry import Entry, decode
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAC_BYTES = KEY_BYTES = 32
_HEAD = struct.Struct(">BQQQ32s?")  # format, then a head's fields
_HEAD_FORMAT = 1
_MOST = 1 << 63  # SQLite's integers end here


class Head(NamedTuple):
    """Where a chain stands: its epoch, the numbers of that epoch's first entry and of the last, the last mac.

    `closed` says that the epoch ended in order, every intent settled.
    """

    epoch: int
    first: int
    last: int
    mac: bytes
    closed: bool = False

    def pack(self) -> bytes:
        """58 bytes, to be sealed into the vault."""
        return _HEAD.pack(_HEAD_FORMAT, *self)

    @classmethod
    def unpack(cls, packed: bytes | None) -> Head:
        """The head that was sealed; `None` (none was, yet) is the empty chain. Raises `audit-broken`."""
        if packed is None:
            return GENESIS
        if len(packed) == _HEAD.size:
            head = cls(*_HEAD.unpack(packed)[1:])
            if head.pack() == packed and 1 <= head.first <= head.last < _MOST and 1 <= head.epoch < _MOST:
                return head
        raise broken(0, "the sealed head is malformed")


GENESIS = Head(epoch=0, first=1, last=0, mac=bytes(MAC_BYTES))


def broken(entry: int, why: str) -> KvError:
    """The error that names the first bad entry; `why` is a literal of this package."""
    return KvError("audit-broken", entry=entry, why=why)


class Chain:
    """The writing end: signs one body after the other and forgets each key as it goes."""

    def __init__(self, subkey: bytes, epoch: int, after: Head) -> None:
        """Begin `epoch` after the entry that `after` names."""
        if len(subkey) != KEY_BYTES:
            raise ValueError("the audit subkey has 32 bytes")
        seed = b"kv audit epoch 1" + epoch.to_bytes(8, "big") + after.mac
        self._key = bytearray(hmac.digest(subkey, seed, "sha256"))
        self.head = Head(epoch, after.last + 1, after.last, after.mac)

    def sign(self, body: bytes) -> bytes:
        """The mac of `body` as the next entry. Changes nothing: what cannot be stored was never signed."""
        return hmac.digest(self._key, self.head.mac + body, "sha256")

    def advance(self, mac: bytes) -> None:
        """`mac` is stored: step to the next key and overwrite this one."""
        self._key[:] = hmac.digest(self._key, b"ratchet", "sha256")
        self.head = self.head._replace(last=self.head.last + 1, mac=mac)

    def forget(self) -> None:
        """Overwrite the key: nothing can be signed any more."""
        self._key[:] = bytes(KEY_BYTES)


def walk(rows: Iterable[tuple[int, bytes, bytes]], subkey: bytes, after: Head) -> Iterator[tuple[Head, Entry]]:
    """Every entry of `rows` (number, body, mac) that follows `after`, checked, with the head it leads to.

    `after` is the empty chain or the end of an epoch. Raises `audit-broken` at the first entry that is missing,
    moved, edited, inserted or signed with another key. Constant memory.
    """
    chain = None
    head = after
    for seq, body, mac in rows:
        if seq != head.last + 1:
            raise broken(head.last + 1, "it is missing")
        entry = _decode(seq, body)
        if chain is None or entry.epoch != head.epoch:
            if entry.epoch != head.epoch + 1 and head.last:
                raise broken(seq, "it belongs to another epoch")
            chain = Chain(subkey, entry.epoch, head)
        if not hmac.compare_digest(chain.sign(body), mac):
            raise broken(seq, "it was edited, moved or signed with another key")
        chain.advance(mac)
        head = chain.head
        yield head, entry


def _decode(seq: int, body: bytes) -> Entry:
    try:
        entry = decode(body)
    except ValueError:
        raise broken(seq, "it is not an entry") from None
    if entry.seq != seq:
        raise broken(seq, "it was moved")
    return entry

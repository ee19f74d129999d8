"""The format's constants and encodings: what `FORMAT.md` says in words, byte for byte.

Rules of this file
- Pure: no key, no file, no randomness. Numbers are big-endian; every encoding has exactly one form.
- Nothing here changes without a new `VERSION`: files of the old one have to be readable for good.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from kv.errors import KvError

MAGIC = "kv vault"
VERSION = 1
APPLICATION = 0x6B765674  # "kvVt", at offset 68 of the file
PAGE = 4096
# Every row is looked at when a vault is unlocked: 16 GiB bound that work, and hold 1,000 secrets of 1 MiB with all
# their revisions. A vault is never written beyond it either, so it cannot lock its owner out.
PAGES_MAX = (16 << 30) // PAGE

VAULT_ID = RECORD_ID = 16  # bytes
KEY = DIGEST = 32
NONCE = 24
TAG = 16
SALT = 16  # RFC 9106, section 3.1
SLOTS_MAX = 32  # LUKS2 has as many; an unlock reads them all
OPAQUE_MAX = 4096  # bytes of what a slot of another kind keeps in one column
REVISIONS_KEPT = 10
VALUE_MAX = META_MAX = 1 << 20

META, VALUE = 1, 2  # the parts of a record
PASSPHRASE, RECOVERY = 1, 2  # kinds of slots; 3 device key, 4 FIDO2 hmac-secret, 5 member's public key are reserved

# What a subkey is for. The last three are lent to others (`Label`); the rest never leave the vault.
RECORDS, NAMES, HEAD, SET, SLOTS = b"records", b"names", b"head", b"set", b"slots"
LENT = ("audit", "needles", "proofs")
PERSON = b"kv vault 1"


def _table(name: str, columns: str, key: str) -> str:
    return f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID"


# By name. No CHECK: SQLite leaves those out in a database that it opened read-only, so a reader that trusts them
# believes rows of any shape there. Types and lengths are looked at where a row is taken in.
SCHEMA = {
    "head": _table("head", "one INTEGER NOT NULL, nonce BLOB NOT NULL, sealed BLOB NOT NULL", "one"),
    "header": _table(
        "header", "one INTEGER NOT NULL, magic TEXT NOT NULL, format INTEGER NOT NULL, vault BLOB NOT NULL", "one"
    ),
    "records": _table(
        "records",
        "id BLOB NOT NULL, revision INTEGER NOT NULL, part INTEGER NOT NULL,"
        " nonce BLOB NOT NULL, tag BLOB NOT NULL, sealed BLOB NOT NULL",
        "id, revision, part",
    ),
    "slots": _table(
        "slots",
        "id INTEGER NOT NULL, kind INTEGER NOT NULL,"
        " memory INTEGER NOT NULL, passes INTEGER NOT NULL, lanes INTEGER NOT NULL,"
        " salt BLOB NOT NULL, public BLOB NOT NULL, nonce BLOB NOT NULL, sealed BLOB NOT NULL",
        "id",
    ),
}


def damaged(why: str) -> KvError:
    """`vault-damaged`: bytes that are not of this format. `why` is a literal of this package."""
    return KvError("vault-damaged", why=why)


class SlotRow(NamedTuple):
    """One row of `slots`. In kinds 1 and 2 the three numbers are Argon2id's (KiB, passes, lanes), `public` is empty."""

    id: int
    kind: int
    memory: int
    passes: int
    lanes: int
    salt: bytes
    public: bytes
    nonce: bytes
    sealed: bytes


class PartRow(NamedTuple):
    """One row of `records`: a sealed part of one revision. `tag` is the AEAD's, kept apart from the ciphertext."""

    id: bytes
    revision: int
    part: int
    nonce: bytes
    tag: bytes
    sealed: bytes


class Head(NamedTuple):
    """What the sealed head says: which set of rows and which slots belong to this generation of the vault."""

    generation: int
    rows: int
    digest: bytes
    slots: bytes
    audit: bytes


_KEY_AAD = struct.Struct(">9sI16s16sQB")
_MARK = struct.Struct(">QB")
_HEAD = struct.Struct(">QQ32s32sB127s")
_SLOT = struct.Struct(">5I")
_LENGTH = struct.Struct(">I")

AUDIT_HEAD_MAX = 127  # bytes: fills the head's last field
GENERATION_MAX = (1 << 63) - 1

record_mark = _MARK.pack  # revision, part: as the set digest has them after the id
MARK = RECORD_ID + _MARK.size


def record_aad(vault: bytes, record: bytes, revision: int, part: int) -> bytes:
    """What a record's part is sealed to: it opens in this very place and in no other."""
    return _KEY_AAD.pack(b"kv record", VERSION, vault, record, revision, part)


def head_aad(vault: bytes) -> bytes:
    """What the head is sealed to."""
    return b"kv head" + _LENGTH.pack(VERSION) + vault


def slot_aad(vault: bytes, slot: SlotRow) -> bytes:
    """What a slot's root key is sealed to: everything in the row that is not the seal itself."""
    return b"kv slot" + _LENGTH.pack(VERSION) + vault + _slot_public(slot)


def slots_message(vault: bytes, slots: list[SlotRow]) -> bytes:
    """What the head authenticates of header and slots: all of it, in the order of the ids."""
    rows = [_slot_public(slot) + slot.nonce + _sized(slot.sealed) for slot in sorted(slots)]
    return MAGIC.encode() + _LENGTH.pack(VERSION) + vault + _LENGTH.pack(len(rows)) + b"".join(rows)


def _slot_public(slot: SlotRow) -> bytes:
    return _SLOT.pack(*slot[:5]) + _sized(slot.salt) + _sized(slot.public)


def _sized(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def pack_head(head: Head) -> bytes:
    """208 bytes. Raises `ValueError` for an audit head that does not fit."""
    if len(head.audit) > AUDIT_HEAD_MAX:
        raise ValueError("an audit head has at most 127 bytes")
    return _HEAD.pack(head.generation, head.rows, head.digest, head.slots, len(head.audit), head.audit)


def unpack_head(packed: bytes) -> Head:
    """The inverse of `pack_head`. Raises `ValueError` for anything that it would not have made."""
    if len(packed) != _HEAD.size:
        raise ValueError("size")
    generation, rows, digest, slots, length, audit = _HEAD.unpack(packed)
    head = Head(generation, rows, digest, slots, audit[:length])
    if length > AUDIT_HEAD_MAX or not 1 <= generation <= GENERATION_MAX or pack_head(head) != packed:
        raise ValueError("form")
    return head


HEAD_BYTES = _HEAD.size

_SMALLEST, _COARSE = 128, 4096


def padded_size(content: int) -> int:
    """How many bytes `content` bytes take with length and padding.

    Powers of two up to 4 KiB, where secrets live: a file tells passwords from keys no better than that. Above,
    Padmé (Nikitin et al., PETS 2019), which leaks O(log log n) bits of a length and costs 12 % at most.
    """
    size = max(content + _LENGTH.size, _SMALLEST)
    exponent = (size - 1).bit_length()
    if size <= _COARSE:
        return 1 << exponent
    exponent = size.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-size // step) * step


def pad(content: bytes) -> bytearray:
    """Length, content, zeros. A bytearray, so that it can be wiped."""
    padded = bytearray(padded_size(len(content)))
    _LENGTH.pack_into(padded, 0, len(content))
    padded[_LENGTH.size : _LENGTH.size + len(content)] = content
    return padded


def unpad(padded: bytearray) -> bytes:
    """The content. Raises `ValueError` for another length, size class or padding than `pad` makes."""
    if len(padded) < _SMALLEST:
        raise ValueError("size")
    (length,) = _LENGTH.unpack_from(padded)
    end = _LENGTH.size + length
    if end > len(padded) or padded_size(length) != len(padded) or padded.count(0, end) != len(padded) - end:
        raise ValueError("padding")
    with memoryview(padded) as view:
        return bytes(view[_LENGTH.size : end])

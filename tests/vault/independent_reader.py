"""A reader of the vault format, written from `kv/vault/FORMAT.md` alone: nothing of kv is imported.

It reads and refuses; it does not write. Section numbers are those of the document.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import struct
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from argon2.low_level import Type, hash_secret_raw
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as aead_open
from nacl.exceptions import CryptoError

DOCUMENT = Path(__file__).parents[2] / "kv" / "vault" / "FORMAT.md"

Contents = dict[str, list[list[object]]]


class Refused(Exception):  # noqa: N818 - the document's own word
    """What section 8 calls refusing; the argument is its word for why."""


class Slot(NamedTuple):
    """A row of `slots`."""

    id: int
    kind: int
    memory: int
    passes: int
    lanes: int
    salt: bytes
    public: bytes
    nonce: bytes
    sealed: bytes


def u32(number: int) -> bytes:
    """Section 0."""
    return struct.pack(">I", number)


def u64(number: int) -> bytes:
    """Section 0."""
    return struct.pack(">Q", number)


def is_u32(value: object) -> bool:
    """Section 2, types."""
    return type(value) is int and 0 <= value < 1 << 32


def is_blob(value: object, least: int, most: int) -> bool:
    """Section 2, types."""
    return isinstance(value, bytes) and least <= len(value) <= most


def sized(data: bytes) -> bytes:
    """Section 0."""
    return u32(len(data)) + data


def keyed(key: bytes, message: bytes, size: int = 32) -> bytes:
    """Section 3, keyed hash."""
    return hashlib.blake2b(message, key=key, person=b"kv vault 1", digest_size=size).digest()


def unseal(key: bytes, nonce: bytes, sealed: bytes, aad: bytes, why: str = "damaged") -> bytes:
    """Section 3, sealing."""
    try:
        return aead_open(sealed, aad, nonce, key)
    except (CryptoError, TypeError, ValueError):
        raise Refused(why) from None


@cache
def derive(secret: bytes, salt: bytes, memory: int, passes: int, lanes: int) -> bytes:
    """Section 3, KDF; each once, since the vectors share their slots."""
    return hash_secret_raw(secret, salt, passes, memory, lanes, 32, Type.ID, 0x13)


def schema() -> list[tuple[str, str, str, str]]:
    """Section 2: the texts as the document has them, unbroken."""
    block = re.search(r"```sql\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    if block is None:
        raise LookupError("the document has no schema")
    texts = (" ".join(line.strip() for line in each.splitlines()) for each in block[1].strip().split("\n\n"))
    return sorted(("table", text.split()[2], text.split()[2], text) for text in texts)


def check_file(path: Path) -> None:
    """Section 2, the file's header."""
    data = path.read_bytes()
    if len(data) < 100 or data[:16] != b"SQLite format 3\0" or data[68:72] != b"kvVt":
        raise Refused("foreign")
    if data[60:64] != u32(1):
        raise Refused("version")
    pages = int.from_bytes(data[28:32], "big")
    if data[16:18] != b"\x10\0" or data[20] or data[24:28] != data[92:96] or data[56:60] != u32(1):
        raise Refused("damaged")
    if pages * 4096 != len(data) or pages > 4_194_304:
        raise Refused("damaged")


class Reader:
    """An open file, checked as far as it can be without a key."""

    def __init__(self, path: Path) -> None:
        check_file(path)
        self._db = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
        self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 << 20)
        try:
            self._check()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        try:
            return self._db.execute(query).fetchall()
        except (sqlite3.Error, UnicodeDecodeError):
            raise Refused("damaged") from None

    def _check(self) -> None:
        """Sections 2 and 8, steps 3 and 4."""
        self.rows("PRAGMA trusted_schema=OFF")
        self.rows("PRAGMA cell_size_check=ON")
        if self.rows("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name") != schema():
            raise Refused("damaged")
        if self.rows("PRAGMA quick_check") != [("ok",)]:
            raise Refused("damaged")
        header = self.rows("SELECT magic, format, vault FROM header")
        if len(header) != 1 or header[0][0] != "kv vault" or type(header[0][1]) is not int:
            raise Refused("damaged")
        _, version, self.vault = header[0]
        if version != 1:
            raise Refused("version")
        if not is_blob(self.vault, 16, 16):
            raise Refused("damaged")
        self.slots = [Slot(*row) for row in self.rows("SELECT * FROM slots ORDER BY id")]
        good = all(is_u32(each) for slot in self.slots for each in slot[:5])
        if len(self.slots) > 32 or not good or not all(is_blob(each, 0, 4096) for s in self.slots for each in s[5:]):
            raise Refused("damaged")
        for record, revision, part, nonce, tag, sealed in self.rows("SELECT * FROM records"):
            good = is_blob(record, 16, 16) and is_blob(nonce, 24, 24) and is_blob(tag, 16, 16)
            if not good or not is_blob(sealed, 128, 1_081_344) or type(revision) is not int or revision < 1:
                raise Refused("damaged")
            if type(part) is not int or part not in {1, 2}:
                raise Refused("damaged")

    def slot(self, kind: int) -> Slot:
        """Section 5: the one slot of a kind, with costs within bounds."""
        found = [slot for slot in self.slots if slot.kind == kind]
        if len(found) != 1 or found[0].public or len(found[0].salt) != 16 or len(found[0].sealed) != 48:
            raise Refused("damaged")
        slot = found[0]
        if not (65_536 <= slot.memory <= 1_048_576 and 3 <= slot.passes <= 10 and 4 <= slot.lanes <= 8):
            raise Refused("kdf")
        return slot

    def root(self, kind: int, secret: bytes) -> bytes:
        """Section 5: open a slot."""
        slot = self.slot(kind)
        key = derive(secret, slot.salt, slot.memory, slot.passes, slot.lanes)
        numbers = b"".join(u32(each) for each in slot[:5])
        aad = b"kv slot" + u32(1) + self.vault + numbers + sized(slot.salt) + sized(slot.public)
        return unseal(key, slot.nonce, slot.sealed, aad, "passphrase" if kind == 1 else "recovery")

    def contents(self, root: bytes) -> Contents:
        """Sections 6 and 7: everything, once head, slots and rows fit together."""
        self._check_head(root)
        self.slot(1)
        self.slot(2)
        found: dict[bytes, list[list[object]]] = {}
        names: dict[bytes, str] = {}
        keys = keyed(root, b"records"), keyed(root, b"names")
        for record, revision, part, nonce, tag, sealed in self.rows("SELECT * FROM records"):
            aad = b"kv record" + u32(1) + self.vault + record + u64(revision) + bytes([part])
            content = unpad(unseal(keys[0], nonce, sealed + tag, aad))
            revisions = found.setdefault(record, [])
            if part == 1:
                told = read_meta(content)
                if keyed(keys[1], f"{told['kind']}\0{told['name']}".encode(), 16) != record:
                    raise Refused("damaged")
                names[record] = f"{told['kind']}:{told['name']}"
                revisions.insert(0, [revision, told["created"], told["meta"], None])
            elif not revisions or revisions[0][0] != revision or not content:
                raise Refused("damaged")
            else:
                revisions[0][3] = content.hex()
        return {names[record]: revisions for record, revisions in found.items()}

    def _check_head(self, root: bytes) -> None:
        """Section 7, and section 8, steps 6 and 7."""
        heads = self.rows("SELECT nonce, sealed FROM head")
        if len(heads) != 1:
            raise Refused("damaged")
        nonce, sealed = heads[0]
        plain = unseal(keyed(root, b"head"), nonce, sealed, b"kv head" + u32(1) + self.vault)
        if len(plain) != 208:
            raise Refused("damaged")
        generation, rows, digest, slots, length, audit = struct.unpack(">QQ32s32sB127s", plain)
        if not 1 <= generation < 1 << 63 or length > 127 or any(audit[length:]):
            raise Refused("damaged")
        listed = b"".join(
            b"".join(u32(each) for each in s[:5]) + sized(s.salt) + sized(s.public) + s.nonce + sized(s.sealed)
            for s in self.slots
        )
        message = b"kv vault" + u32(1) + self.vault + u32(len(self.slots)) + listed
        if keyed(keyed(root, b"slots"), message) != slots:
            raise Refused("damaged")
        key, total, last, count = keyed(root, b"set"), 0, b"", 0
        for record, revision, part, tag in self.rows("SELECT id, revision, part, tag FROM records"):
            place = record + u64(revision) + bytes([part])
            if place <= last or (part == 2 and place[:-1] != last[:-1]):
                raise Refused("damaged")
            last, count = place, count + 1
            total += int.from_bytes(keyed(key, place + tag), "big")
        if (count, (total % (1 << 256)).to_bytes(32, "big")) != (rows, digest):
            raise Refused("damaged")


def padded_size(content: int) -> int:
    """Section 6."""
    n = content + 4
    if n <= 128:
        return 128
    e = n.bit_length() - 1
    if n <= 4096:
        return n if n == 1 << e else 2 << e
    step = 1 << (e - e.bit_length())
    return (n + step - 1) // step * step


def unpad(padded: bytes) -> bytes:
    """Section 6."""
    length = int.from_bytes(padded[:4], "big")
    if len(padded) != padded_size(length) or any(padded[4 + length :]):
        raise Refused("damaged")
    return padded[4 : 4 + length]


def read_meta(content: bytes) -> dict[str, Any]:
    """Section 6, the JSON of part 1."""
    try:
        told = json.loads(content)
        again = json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise Refused("damaged") from None
    if again != content or set(told) != {"created", "kind", "meta", "name"}:
        raise Refused("damaged")
    segments = told["name"].split("/")
    good = len(segments) <= 4 and all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", each) for each in segments)
    if not good or {".", ".."} & set(segments) or told["kind"] not in {"secret", "connection", "rule", "setting"}:
        raise Refused("damaged")
    return dict(told)


def recovery_secret(code: str) -> bytes:
    """Section 5, recovery codes."""
    digits = re.sub(r"[-\s]", "", code.upper()).replace("O", "0").replace("I", "1").replace("L", "1")
    if not re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{28}", digits):
        raise Refused("recovery")
    number = 0
    for digit in digits:
        number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(digit)
    secret = (number >> 12).to_bytes(16, "big")
    check = hashlib.blake2b(secret, digest_size=2, person=b"kv recovery 1").digest()
    if int.from_bytes(check, "big") >> 4 != number & 0xFFF:
        raise Refused("recovery")
    return secret


def read(path: Path, key: dict[str, str]) -> Contents:
    """Everything in the vault at `path`, by `{"passphrase": …}`, `{"recovery": …}` or `{"root": hex}`."""
    reader = Reader(path)
    try:
        if "root" in key:
            root = bytes.fromhex(key["root"])
        elif "recovery" in key:
            root = reader.root(2, recovery_secret(key["recovery"]))
        else:
            root = reader.root(1, key["passphrase"].encode())
        return reader.contents(root)
    finally:
        reader.close()

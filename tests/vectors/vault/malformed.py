"""Well sealed, and nonsense: what only a writer with the key could have made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vectors.vault.bases import NOW
from vectors.vault.forge import Forge
from vectors.vault.vector import HIDDEN, INSIDE, Vector

from kv.vault.contents import encode_meta
from kv.vault.format import META, VALUE, pack_head, pad

if TYPE_CHECKING:
    from vectors.vault.bases import Base


def malformed_records(plain: Base) -> list[Vector]:
    """Well sealed, and nonsense: what only a writer with the key could have made."""
    forge = Forge(plain)
    record = forge.id(b"secret", b"new")
    meta = encode_meta("secret", "new", NOW, {})
    untidy = pad(b"value")
    untidy[-1] = 1
    long = pad(b"value")
    long[3] = 125
    loose = meta.replace(b'":', b'": ', 1)
    cases: list[tuple[str, str, bytes | bytearray, bytes | bytearray]] = [
        ("padding", "padding that is not zero", pad(meta), untidy),
        ("length", "a length beyond its size class", pad(meta), long),
        ("size-class", "more padding than there should be", pad(meta), pad(b"value") + bytes(128)),
        ("too-short", "less than the smallest size", pad(meta), b"value"),
        ("empty-value", "a value of no bytes", pad(meta), pad(b"")),
        ("json-space", "JSON that is not canonical", pad(loose), pad(b"value")),
        ("json-repeated", "a member twice", pad(meta[:-1] + b',"name":"new"}'), pad(b"value")),
        ("json-member", "a member that there is not", pad(meta[:-1] + b',"zero":0}'), pad(b"value")),
        ("name", "a name that does not lead to the id", pad(encode_meta("secret", "old", NOW, {})), pad(b"value")),
        ("kind", "a kind that does not lead to the id", pad(encode_meta("setting", "new", NOW, {})), pad(b"value")),
        ("unknown-kind", "a kind that there is not", pad(meta.replace(b"secret", b"sekret")), pad(b"value")),
        ("no-name", "a name that is none", pad(meta.replace(b'"new"', b'"../n"')), pad(b"value")),
        ("no-text", "bytes that are no text", pad(b"\xff\xfe"), pad(b"value")),
    ]
    found = []
    for name, title, first, second in cases:
        edits = forge.put_parts(record, 1, [(META, first), (VALUE, second)])
        found.append(Vector(f"sealed-{name}", title, "plain", edits, INSIDE))
    lone = forge.put_parts(record, 1, [(VALUE, pad(b"value"))])
    found.append(Vector("sealed-lone-value", "a value without its meta", "plain", lone, HIDDEN))
    return found


def malformed_slots(plain: Base) -> list[Vector]:
    """Slots that a head vouches for, and that must not be there."""
    forge = Forge(plain)
    cheap = [each._replace(memory=8) if each.kind == 1 else each for each in forge.slots()]
    alone = [each for each in forge.slots() if each.kind == 1]
    kdf = {"*": "vault-kdf"}
    none = {"*": "vault-damaged", "slot": "ok"}
    return [
        Vector("sealed-cheap-slot", "costs below the floor", "plain", forge.put_slots(cheap), kdf),
        Vector("sealed-one-slot", "no recovery slot", "plain", forge.put_slots(alone), none),
    ]


def malformed_heads(plain: Base) -> list[Vector]:
    """Heads that open, and are none."""
    forge = Forge(plain)
    good = pack_head(forge.head())
    cases = [
        ("generation-zero", "generation 0", bytes(8) + good[8:]),
        ("generation-huge", "generation 2^63", b"\x80" + bytes(7) + good[8:]),
        ("padding", "padding that is not zero", good[:-1] + b"\1"),
        ("audit-length", "an audit head longer than its field", good[:80] + b"\x80" + good[81:]),
        ("short", "a byte less", good[:-1]),
        ("long", "a byte more", good + b"\0"),
    ]
    return [
        Vector(f"sealed-head-{name}", title, "plain", [forge.put_head(head)], HIDDEN) for name, title, head in cases
    ]

"""What only a holder of the key could do: seal what a writer that follows the format would never seal."""

# ruff: noqa: S608 - the statements are the vectors

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, cast

from vectors.vault.vector import Edit, blob, literal, sql

from kv.vault import box, head
from kv.vault.format import TAG, Head, SlotRow, head_aad, pack_head, record_aad
from kv.vault.keys import Keys, RootKey

if TYPE_CHECKING:
    from vectors.vault.bases import Base


class Forge:
    """Seals with a base's own keys what a writer that follows the format would never seal."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self.root = RootKey.take(bytearray(base.root))
        self.keys = Keys(self.root)
        self.vault = cast("bytes", base.rows("SELECT vault FROM header")[0][0])

    def id(self, kind: bytes, name: bytes) -> bytes:
        """A record's id."""
        return box.mac(self.keys.names, kind + b"\0" + name, 16)

    def head(self, **changes: object) -> Head:
        """The base's head with changes."""
        nonce, sealed = self.base.rows("SELECT nonce, sealed FROM head")[0]
        packed = bytearray(208)
        box.unseal(self.keys.head, nonce, sealed, head_aad(self.vault), packed)  # type: ignore[arg-type]
        generation, rows, digest, slots, length, audit = struct.unpack(">QQ32s32sB127s", packed)
        return Head(generation, rows, digest, slots, audit[:length])._replace(**changes)  # type: ignore[arg-type]

    def put_head(self, packed: bytes) -> Edit:
        """The edit that seals `packed` as the head."""
        nonce, sealed = box.seal(self.keys.head, packed, head_aad(self.vault))
        return sql(f"UPDATE head SET nonce = {blob(nonce)}, sealed = {blob(sealed)}")

    def put_slots(self, rows: list[SlotRow]) -> list[Edit]:
        """The edits that make these the vault's slots, authenticated."""
        inserts = [sql(f"INSERT INTO slots VALUES ({', '.join(map(literal, row))})") for row in rows]
        mac = head.slots_mac(self.keys, self.vault, rows)
        return [sql("DELETE FROM slots"), *inserts, self.put_head(pack_head(self.head(slots=mac)))]

    def slots(self) -> list[SlotRow]:
        """The base's slots."""
        return [SlotRow(*row) for row in self.base.rows("SELECT * FROM slots ORDER BY id")]  # type: ignore[arg-type]

    def put_parts(self, record: bytes, number: int, parts: list[tuple[int, bytes | bytearray]]) -> list[Edit]:
        """The edits that put sealed parts of a new revision in, and count them in the head."""
        tally, edits = head.Tally(self.keys), []
        for part, padded in parts:
            nonce, sealed = box.seal(self.keys.records, padded, record_aad(self.vault, record, number, part))
            tally.add((record, number, part, sealed[-TAG:]))
            values = (record, number, part, nonce, sealed[-TAG:], sealed[:-TAG])
            edits.append(sql(f"INSERT INTO records VALUES ({', '.join(map(literal, values))})"))
        return [*edits, self.put_head(pack_head(head.after(self.head(), tally)))]

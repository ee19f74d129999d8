"""Slots: the ways to the root key. What a passphrase or a recovery code opens, and what is public about it.

Rules of this file
- `PublicSlot` is public data: whoever holds the file has it. It may come from a file or over a socket, so it is
  checked in full where it is made.
- A slot's parameters are part of its seal, and the head authenticates all slots: lowering the costs in a stolen
  file makes a slot that nothing opens.
- A passphrase is judged where a slot is sealed with it; opening judges nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kv.errors import KvError
from kv.vault import box, kdf, recovery
from kv.vault.arena import Arena
from kv.vault.format import KEY, NONCE, PASSPHRASE, RECOVERY, SALT, TAG, VAULT_ID, SlotRow, damaged, slot_aad
from kv.vault.kdf import KdfParameters
from kv.vault.keys import RootKey
from kv.vault.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = {"passphrase": PASSPHRASE, "recovery": RECOVERY}
_WRONG = {PASSPHRASE: "wrong-passphrase", RECOVERY: "wrong-recovery"}


@dataclass(frozen=True, slots=True, repr=False)
class Passphrase:
    """A passphrase as bytes, as it was typed; a key of `Vault.open`."""

    value: bytes | bytearray


@dataclass(frozen=True, slots=True, repr=False)
class Recovery:
    """A recovery code as a person typed it; a key of `Vault.open`."""

    value: str


UnlockKey = Passphrase | Recovery | RootKey


@dataclass(frozen=True, slots=True)
class PublicSlot:
    """A passphrase's or a recovery code's slot of the vault `vault`, with parameters within bounds.

    Raises `KvError("vault-kdf" | "vault-damaged")` when it is made of anything else.
    """

    vault: bytes
    row: SlotRow

    def __post_init__(self) -> None:
        row = self.row
        if row.kind not in _WRONG or row.public or len(self.vault) != VAULT_ID:
            raise damaged("a slot is not what its kind says")
        if (len(row.salt), len(row.nonce), len(row.sealed)) != (SALT, NONCE, KEY + TAG):
            raise damaged("a slot has another size")
        self.kdf.check()

    @property
    def kdf(self) -> KdfParameters:
        """What opening it costs."""
        return KdfParameters(self.row.memory, self.row.passes, self.row.lanes)

    def as_wire(self) -> dict[str, object]:
        """The JSON form: numbers, and bytes in hexadecimal."""
        wire = {name: each.hex() if isinstance(each, bytes) else each for name, each in self.row._asdict().items()}
        return {"vault": self.vault.hex(), **wire}

    @classmethod
    def from_wire(cls, wire: Mapping[str, object]) -> PublicSlot:
        """The inverse of `as_wire`, strictly. Raises `KvError("vault-kdf" | "vault-damaged")`."""
        if set(wire) != {"vault", *SlotRow._fields}:
            raise damaged("a slot has a member more or less")
        row = SlotRow(**{name: _typed(name, wire[name]) for name in SlotRow._fields})  # type: ignore[arg-type]  # `_typed` has looked at each
        return cls(_hex(wire["vault"]), row)


def _typed(name: str, value: object) -> int | bytes:
    if name not in {"id", "kind", "memory", "passes", "lanes"}:
        return _hex(value)
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise damaged("a slot's number is out of bounds")
    return value


def _hex(text: object) -> bytes:
    if not isinstance(text, str) or len(text) > 2 * (KEY + TAG):
        raise damaged("a slot's member is malformed")
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise damaged("a slot's member is malformed") from None
    if data.hex() != text:
        raise damaged("a slot's member is malformed")
    return data


def open_slot(public: PublicSlot, secret: bytes | bytearray) -> RootKey:
    """The root key that `public` seals. `secret` is the passphrase, or the recovery code's 16 bytes.

    Takes as long as the slot's KDF says. Raises `KvError("wrong-passphrase" | "wrong-recovery")`; a slot that was
    altered cannot be told from a wrong passphrase, which is the same to everyone without the right one.
    """
    arena = Arena()
    root = RootKey()
    try:
        key = arena.cell(KEY)
        kdf.derive(secret, public.row.salt, public.kdf, key)
        with root.expose() as target:
            box.unseal(key, public.row.nonce, public.row.sealed, slot_aad(public.vault, public.row), target)
    except box.Forged:
        root.close()
        raise KvError(_WRONG[public.row.kind]) from None
    finally:
        arena.close()
    return root


def seal_slot(root: RootKey, vault: bytes, kind: str, secret: bytes | bytearray, costs: KdfParameters) -> PublicSlot:
    """A new slot of `kind` ("passphrase", "recovery") for `root`. Raises `KvError("weak-passphrase" | "vault-kdf")`."""
    if kind == "passphrase":
        from kv.vault.passphrase import require_strong

        require_strong(secret)
    number = KINDS[kind]
    row = SlotRow(number, number, *costs.check(), os.urandom(SALT), b"", bytes(NONCE), bytes(KEY + TAG))
    arena = Arena()
    try:
        key = arena.cell(KEY)
        kdf.derive(secret, row.salt, costs, key)
        with root.expose() as source:
            nonce, sealed = box.seal(key, source, slot_aad(vault, row))
    finally:
        arena.close()
    return PublicSlot(vault, row._replace(nonce=nonce, sealed=sealed))


def seal_recovery(root: RootKey, vault: bytes) -> tuple[PublicSlot, str]:
    """A new recovery slot and its code. The code is random and long: the floor's costs are more than it needs."""
    secret, code = recovery.generate()
    return seal_slot(root, vault, "recovery", secret, kdf.FLOOR), code


def unlock(key: UnlockKey, vault: bytes, slots: list[SlotRow]) -> RootKey:
    """The root key of a vault with these slots, by `key`; a root key is given back as it is. Raises `KvError`."""
    if isinstance(key, RootKey):
        return key
    if isinstance(key, Recovery):
        secret = recovery.parse(key.value)
        return open_slot(find_slot(vault, slots, "recovery"), secret)
    return open_slot(find_slot(vault, slots, "passphrase"), key.value)


def find_slot(vault: bytes, slots: list[SlotRow], kind: str) -> PublicSlot:
    """The one slot of `kind`. Raises `KvError("vault-damaged" | "vault-kdf")`."""
    found = [row for row in slots if row.kind == KINDS[kind]]
    if len(found) != 1:
        raise damaged(f"it has {len(found)} {kind} slots")
    return PublicSlot(vault, found[0])


def read_slot(path: str | os.PathLike[str], kind: str = "passphrase") -> PublicSlot:
    """The public data of a locked vault's slot, bounded. Raises what `Vault.open` raises before it needs a key."""
    store = Store(os.path.abspath(path), "slots")
    try:
        return find_slot(store.vault_id(), store.slots(), kind)
    finally:
        store.close()

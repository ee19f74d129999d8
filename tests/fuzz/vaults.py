"""What `FORMAT.md` specifies: encodings, slots as they travel, codes as they are typed, the vectors' files."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.mutate import mutate_rows, mutated, mutated_tree
from fuzz.target import Target, folder, kv_target, put
from vault.world import verify_copy

from kv.vault import format as form
from kv.vault.keys import RootKey
from kv.vault.recovery import parse, write
from kv.vault.session import PublicSlot, Vault, read_slot

if TYPE_CHECKING:
    from random import Random

VECTORS = Path(__file__).parents[1] / "vectors" / "vault"
_HEAD = form.pack_head(form.Head(7, 12, bytes(32), b"\xff" * 32, b"audit"))
_PADDED = [bytes(form.pad(b"x" * size)) for size in (0, 1, 124, 125, 4092, 5000)]
_FILE_CODES = ("vault-foreign", "vault-version", "vault-damaged", "vault-kdf", "vault-missing")


def _slots(random: Random) -> None:
    slot = {"vault": "00" * 16, "id": 1, "kind": 1, "memory": 65536, "passes": 3, "lanes": 4, "salt": "00" * 16}
    tree = mutated_tree(random, {**slot, "public": "", "nonce": "00" * 24, "sealed": "00" * 48})
    if isinstance(tree, dict):
        PublicSlot.from_wire(tree)


def _codes(random: Random) -> None:
    parse(mutated(random, [write(bytes(16)).encode()]).decode("utf-8", "surrogateescape"))


@dataclass
class Vaults:
    """The vectors' good vaults on disk, spoilt, and opened by their keys: every check but Argon2id is reached."""

    folder: Path

    def __post_init__(self) -> None:
        bases = json.loads((VECTORS / "bases.json").read_text("utf-8"))
        self.bases = [
            (gzip.decompress(base64.b64decode(base["file"])), base["keys"]["root"]) for base in bases.values()
        ]
        self.path = self.folder / "vault.kv"

    def spoil(self, random: Random) -> RootKey:
        """One of the vaults, spoilt on disk; the key to it."""
        data, root = random.choice(self.bases)
        by_rows = random.random() < 0.5
        put(self.path, data if by_rows else mutated(random, [data]))
        if by_rows:
            mutate_rows(random, self.path)
        if random.random() < 0.1:  # what an enemy leaves beside it is played back before it is looked at
            companion = self.path.with_name(self.path.name + random.choice(("-wal", "-journal")))
            put(companion, mutated(random, [data[:8192], b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + data[:4096]]))
        return RootKey.take(bytearray.fromhex(root))

    def open(self, random: Random) -> None:
        """As a keeper does; then everything in it is read."""
        with self.spoil(random) as root, Vault.open(self.path, root) as vault:
            for kind in ("secret", "connection", "rule", "setting"):
                for record in vault.records(kind):
                    for revision in vault.history(kind, record.name):
                        if kind == "secret":  # the others are names and metadata
                            vault.value(kind, record.name, revision.revision)

    def look(self, random: Random) -> None:
        """As a client does for its slot, and as a backup is checked."""
        with self.spoil(random) as root:
            read_slot(self.path)
            verify_copy(self.path, root)


def format_targets() -> list[Target]:
    """What `FORMAT.md` specifies: encodings, slots as they travel, codes as they are typed, files."""
    vaults = Vaults(folder())
    malformed = (ValueError,)
    return [
        Target("format.head", lambda random: form.unpack_head(mutated(random, [_HEAD])), malformed),
        Target("format.pad", lambda random: form.unpad(bytearray(mutated(random, _PADDED))), malformed),
        kv_target("format.slot", _slots, "vault-kdf", "vault-damaged"),
        kv_target("format.recovery", _codes, "wrong-recovery"),
        kv_target("format.open", vaults.open, *_FILE_CODES),
        kv_target("format.look", vaults.look, *_FILE_CODES),
    ]

"""The vaults that the vectors begin with, made through `Vault` as people make theirs.

What is in them stands here by hand, beside what was done; it is never read back from a vault.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kv.vault import head, recovery
from kv.vault.format import SlotRow
from kv.vault.kdf import FLOOR
from kv.vault.keys import Keys, RootKey
from kv.vault.session import Vault
from kv.vault.slots import seal_slot
from kv.vault.store import build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 1_795_449_731.25
PASSPHRASE = "quixotic plover 92 anthem giraffe"
NEW_PASSPHRASE = "ninety violet stampede 7 under oath"
BIG = bytes(number * 7 % 251 for number in range(4200))


@dataclass
class Base:
    """A vault's file, the keys to it, and what is in it."""

    data: bytes
    root: bytes
    passphrase: str
    recovery: str
    contents: dict[str, list[list[object]]]

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What a query finds in the file."""
        db = sqlite3.connect(":memory:")
        db.deserialize(self.data)
        try:
            return db.execute(query).fetchall()
        finally:
            db.close()

    def as_json(self) -> dict[str, object]:
        """As `bases.json` has it."""
        file = base64.b64encode(gzip.compress(self.data, mtime=0)).decode()
        keys = {"passphrase": self.passphrase, "recovery": self.recovery, "root": self.root.hex()}
        return {"keys": keys, "contents": self.contents, "file": file}


class Maker:
    """Makes the bases, each in a step that builds on those before."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "vault.kv"

    def begin(self, seed: int, slots: list[SlotRow] | None = None) -> bytes:
        """A new vault; its root key."""
        root = bytes(hashlib.sha256(b"kv vectors root %d" % seed).digest())
        vault = hashlib.sha256(b"kv vectors vault %d" % seed).digest()[:16]
        secret = hashlib.sha256(b"kv vectors recovery %d" % seed).digest()[:16]
        self.path.unlink(missing_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
        with RootKey.take(bytearray(root)) as key:
            keys = Keys(key)
            rows = [
                seal_slot(key, vault, "passphrase", PASSPHRASE.encode(), FLOOR).row,
                seal_slot(key, vault, "recovery", secret, FLOOR).row,
                *(slots or []),
            ]
            build(str(self.path), vault, rows, head.seal(keys, vault, head.first(keys, vault, rows)))
            keys.close()
        self.code = recovery.write(secret)
        return root

    def change(self, root: bytes, act: Callable[[Vault], object]) -> None:
        """Open it, do something, close it."""
        with RootKey.take(bytearray(root)) as key, Vault.open(self.path, key) as vault:
            act(vault)

    def end(self, root: bytes, contents: dict[str, list[list[object]]], passphrase: str = PASSPHRASE) -> Base:
        """The base as it is now."""
        return Base(self.path.read_bytes(), root, passphrase, self.code, contents)


def revision(number: int, moment: float, meta: dict[str, object], value: bytes | None) -> list[object]:
    """One revision as `contents` has it."""
    return [number, round(moment * 1_000_000), meta, None if value is None else value.hex()]


def _reseal(vault: Vault, root: bytes) -> None:
    """Another passphrase, as `kv passwd` sets it."""
    with RootKey.take(bytearray(root)) as key:
        vault.replace_slot("passphrase", seal_slot(key, vault.id, "passphrase", NEW_PASSPHRASE.encode(), FLOOR))


def make_bases(folder: Path) -> dict[str, Base]:
    """Every base by name."""
    maker, bases = Maker(folder), {}
    root = maker.begin(1)
    bases["empty"] = maker.end(root, {})

    stripe = [revision(1, NOW, {"class": "high", "note": "té 🔑"}, b"sk_live_one")]
    gone = [revision(1, NOW, {}, b"first life")]
    api: dict[str, object] = {"origin": "https://api.test", "secrets": {"secret": "prod/STRIPE_KEY"}, "ratio": 0.5}
    common = {"connection:api": [revision(1, NOW, api, None)]}

    def first(vault: Vault) -> None:
        vault.put("secret", "prod/STRIPE_KEY", {"class": "high", "note": "té 🔑"}, b"sk_live_one", now=NOW)
        vault.put("connection", "api", api, now=NOW)
        vault.put("secret", "gone", {}, b"first life", now=NOW)
        vault.put("secret", "big", {}, BIG, now=NOW)

    maker.change(root, first)
    big = {"secret:big": [revision(1, NOW, {}, BIG)]}
    bases["older"] = maker.end(root, {**common, **big, "secret:prod/STRIPE_KEY": stripe, "secret:gone": gone})

    def fork(vault: Vault) -> None:
        vault.put("secret", "prod/STRIPE_KEY", {"class": "low"}, b"sk_live_fork", now=NOW + 1)
        for number in range(5):
            vault.put("setting", "count", {"n": number}, now=NOW + number)

    maker.change(root, fork)
    forked = [revision(2, NOW + 1, {"class": "low"}, b"sk_live_fork"), *stripe]
    counts = [revision(n + 1, NOW + n, {"n": n}, None) for n in reversed(range(5))]
    bases["fork"] = maker.end(
        root,
        {**common, **big, "secret:prod/STRIPE_KEY": forked, "secret:gone": gone, "setting:count": counts},
    )

    maker.path.write_bytes(bases["older"].data)

    def second(vault: Vault) -> None:
        vault.put("secret", "prod/STRIPE_KEY", {"class": "high"}, b"sk_live_two", now=NOW + 1)
        vault.put("secret", "prod/STRIPE_KEY", {"class": "normal"}, now=NOW + 2)
        vault.delete("secret", "gone")
        vault.put("secret", "gone", {}, b"second life", now=NOW + 3)
        _reseal(vault, root)
        vault.seal_audit_head(bytes(range(58)))

    maker.change(root, second)
    changed = [
        revision(3, NOW + 2, {"class": "normal"}, b"sk_live_two"),
        revision(2, NOW + 1, {"class": "high"}, b"sk_live_two"),
        *stripe,
    ]
    reborn = [revision(1, NOW + 3, {}, b"second life")]
    bases["plain"] = maker.end(
        root, {**common, **big, "secret:prod/STRIPE_KEY": changed, "secret:gone": reborn}, NEW_PASSPHRASE
    )

    other = maker.begin(2)
    maker.change(other, first)
    bases["other"] = maker.end(other, bases["older"].contents)

    strange = [
        SlotRow(4, 4, 0, 0, 0, b"", b"credential id", bytes(24), bytes(range(80))),
        SlotRow(900, 77, 5, 6, 7, bytes(4096), b"", bytes(range(24)), b""),
    ]
    slots = maker.begin(3, strange)
    maker.change(slots, lambda vault: vault.put("secret", "a/b/c/d", {}, b"\0", now=NOW))
    bases["slots"] = maker.end(slots, {"secret:a/b/c/d": [revision(1, NOW, {}, b"\0")]})

    many = maker.begin(4)
    every = bytes(range(256))

    def lives(vault: Vault) -> None:
        for number in range(14):
            vault.put("secret", "k", {"n": number}, every[: number + 1], now=NOW + number)
        vault.rename("secret", "k", "K.2_-/x", now=NOW + 20)

    maker.change(many, lives)
    kept = [revision(n + 1, NOW + n, {"n": n}, every[: n + 1]) for n in reversed(range(5, 14))]
    bases["many"] = maker.end(many, {"secret:K.2_-/x": [revision(15, NOW + 20, {"n": 13}, every[:14]), *kept]})
    return bases

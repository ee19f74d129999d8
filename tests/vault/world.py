"""A vault made once, copied for every test, and opened by its root key: Argon2id is paid for once."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from kv.errors import KvError
from kv.vault import head
from kv.vault.format import PartRow
from kv.vault.kdf import FLOOR
from kv.vault.keys import Keys
from kv.vault.session import RootKey, Vault, open_slot, read_slot
from kv.vault.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSPHRASE = b"quixotic plover 92 anthem giraffe"
NOW = 1_795_449_731.25


@dataclass(frozen=True)
class Template:
    """An empty vault: its bytes, its recovery code and its root key."""

    data: bytes
    code: str
    root: RootKey

    def put_down(self, folder: Path) -> World:
        """A copy of the vault in `folder`."""
        folder.chmod(0o700)
        path = folder / "vault.kv"
        write(path, self.data)
        return World(path, self.code, self.root)


@dataclass(frozen=True)
class World:
    """One vault on disk, and what opens it."""

    path: Path
    code: str
    root: RootKey

    def open(self, *, seen: int | None = None, accept_older: bool = False) -> Vault:
        """Open it as a keeper does."""
        return Vault.open(self.path, self.root, seen=seen, accept_older=accept_older)

    def fill(self, count: int = 3) -> None:
        """Put in `count` secrets, `s/0` and so on, each twice, and a connection."""
        with self.open() as vault:
            for number in range(count):
                for turn in (1, 2):
                    value = b"value %d of %d" % (turn, number)
                    vault.put("secret", f"s/{number}", {"class": "normal", "turn": turn}, value, now=NOW + turn)
            vault.put("connection", "api", {"origin": "https://api.test"}, now=NOW)

    def contents(self) -> dict[tuple[str, str], list[tuple[int, dict[str, object], bytes]]]:
        """Everything in it, by kind and name."""
        with self.open() as vault:
            return contents(vault)

    def edit(self, *statements: str) -> None:
        """Change the file as any program of the same user could."""
        edit(self.path, *statements)


def contents(vault: Vault) -> dict[tuple[str, str], list[tuple[int, dict[str, object], bytes]]]:
    """Every kept revision of every record: number, meta, value (b"" for none)."""
    found: dict[tuple[str, str], list[tuple[int, dict[str, object], bytes]]] = {}
    for kind in ("secret", "connection", "rule", "setting"):
        for name in vault.names(kind):
            history = vault.history(kind, name)
            found[kind, name] = [(r.revision, r.meta, _value(vault, kind, name, r.revision)) for r in history]
    return found


def _value(vault: Vault, kind: str, name: str, revision: int) -> bytes:
    try:
        return vault.value(kind, name, revision).expose()
    except KvError as error:
        if error.code != "unknown-revision":
            raise
        return b""


def stored_rows(vault: Vault) -> list[PartRow]:
    """Every row of every record, as the file has them."""
    rows = vault._store._rows("SELECT id, revision, part, nonce, tag, sealed FROM records ORDER BY id, revision, part")
    return list(map(PartRow._make, rows))


def make_template(folder: Path) -> Template:
    """Make the vault, as `kv init` does."""
    folder.chmod(0o700)
    path = folder / "vault.kv"
    vault, code = Vault.create(path, PASSPHRASE, kdf=FLOOR)
    vault.close()
    return Template(path.read_bytes(), code, open_slot(read_slot(path), PASSPHRASE))


def edit(path: Path, *statements: str) -> None:
    """Run `statements` on the file."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            db.execute(statement).fetchall()
    finally:
        db.close()


def write(path: Path, data: bytes) -> None:
    """Write a file as a vault is kept: mode 0600."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def attempt(act: Callable[[], object]) -> str:
    """The code of the error that `act` ends in, or "" for none; any other exception fails the test."""
    try:
        act()
    except KvError as error:
        return error.code
    return ""


def code_of(act: Callable[[], object]) -> str:
    """The code of the error that `act` has to end in."""
    with pytest.raises(KvError) as caught:
        act()
    return caught.value.code


def verify_copy(path: Path, root: RootKey) -> None:
    """Verify a vault's file as a backup is checked: by itself, read-only."""
    keys = Keys(root)
    try:
        store = Store(str(path), "copy")
        try:
            head.verify(keys, store)
        finally:
            store.close()
    finally:
        keys.close()

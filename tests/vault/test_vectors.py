"""Every vector of `tests/vectors/vault/` through every entrance, and through a reader made from the document alone.

Argon2id is computed once for each distinct slot and secret: opening a slot is a pure function of the two.
"""

from __future__ import annotations

import ast
import base64
import gzip
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from vault import independent_reader
from vault.world import attempt, edit, verify_copy, write

from kv.errors import KvError
from kv.vault import recovery
from kv.vault.session import Passphrase, PublicSlot, Recovery, RootKey, Vault, open_slot, read_slot

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parents[1] / "vectors" / "vault"
BASES: dict[str, dict[str, Any]] = json.loads((FOLDER / "bases.json").read_text("utf-8"))
NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "bases")
ENTRANCES = ("passphrase", "recovery", "slot", "root", "copy")

Contents = dict[str, list[list[object]]]


class Vector:
    """One vector, laid out on disk."""

    def __init__(self, name: str, folder: Path) -> None:
        folder.chmod(0o700)
        told = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
        assert set(told) == {"title", "base", "edits", "expect", "keys"}
        base = BASES[told["base"]]
        self.is_good = name.startswith("ok-")
        self.in_one_step = name in {"ok-plain", "ok-slots"}
        self.path = folder / "vault.kv"
        self.keys: dict[str, str] = {**base["keys"], **told["keys"]}
        self.contents: Contents = base["contents"]
        self.expect: dict[str, str] = told["expect"]
        write(self.path, gzip.decompress(base64.b64decode(base["file"])))
        for each in told["edits"]:
            self._apply(each)

    def _apply(self, change: dict[str, Any]) -> None:
        if "sql" in change:
            self._sql(change["sql"])
            return
        data = bytearray(self.path.read_bytes())
        if "truncate" in change:
            del data[change["truncate"] :]
        elif "append" in change:
            data += bytes.fromhex(change["append"])
        else:
            piece = bytes.fromhex(change["hex"])
            data[change["at"] : change["at"] + len(piece)] = piece
        write(self.path, bytes(data))

    def _sql(self, statement: str) -> None:
        if "sqlite_schema" in statement:
            edit(self.path, "PRAGMA writable_schema=ON", statement)
        else:
            edit(self.path, statement)

    def expected(self, entrance: str) -> str:
        """The code that an entrance has to end in, or "ok"."""
        return self.expect.get(entrance, self.expect["*"])


@pytest.fixture(params=NAMES)
def vector(request: pytest.FixtureRequest, tmp_path: Path) -> Vector:
    """Each vector."""
    return Vector(request.param, tmp_path)


@cache
def opened(public: PublicSlot, secret: bytes) -> RootKey | str:
    """What opening a slot gives: the root key, or the error's code."""
    try:
        return open_slot(public, secret)
    except KvError as error:
        return error.code


def root_by(vector: Vector, kind: str) -> RootKey:
    """The root key by passphrase or code, as `Vault.open` gets it."""
    secret = vector.keys["passphrase"].encode() if kind == "passphrase" else recovery.parse(vector.keys["recovery"])
    found = opened(read_slot(vector.path, kind), secret)
    if isinstance(found, str):
        raise KvError(found)
    return found


def read_all(vault: Vault) -> Contents:
    """Everything in a vault, by every way of reading it."""
    found: Contents = {}
    for kind in ("secret", "connection", "rule", "setting"):
        for record in vault.records(kind):
            kept: list[list[object]] = [
                [r.revision, round(r.created * 1_000_000), r.meta, _value(vault, kind, r.name, r.revision)]
                for r in vault.history(kind, record.name)
            ]
            assert kept[0][:3] == [record.revision, round(record.created * 1_000_000), record.meta]
            found[f"{kind}:{record.name}"] = kept
        assert sorted(f"{kind}:{name}" for name in vault.names(kind)) == sorted(n for n in found if n.startswith(kind))
    return found


def _value(vault: Vault, kind: str, name: str, revision: int) -> str | None:
    try:
        return vault.value(kind, name, revision).expose().hex()
    except KvError as error:
        if error.code != "unknown-revision":
            raise
        return None


def enter(vector: Vector, key: Passphrase | Recovery | RootKey, seen: list[Contents]) -> None:
    """Open the vault and read all of it."""
    with Vault.open(vector.path, key) as vault:
        seen.append(read_all(vault))


def by_passphrase(vector: Vector, seen: list[Contents]) -> None:
    """By passphrase: in one step for two good ones and where no Argon2id comes into it, else with it cached."""
    key = Passphrase(vector.keys["passphrase"].encode())
    if vector.in_one_step or attempt(lambda: read_slot(vector.path)):
        enter(vector, key, seen)
    else:
        enter(vector, root_by(vector, "passphrase"), seen)


def by_recovery(vector: Vector, seen: list[Contents]) -> None:
    """By recovery code, likewise."""
    key = Recovery(vector.keys["recovery"])
    if vector.in_one_step or attempt(lambda: read_slot(vector.path, "recovery")):
        enter(vector, key, seen)
    else:
        enter(vector, root_by(vector, "recovery"), seen)


def by_root(vector: Vector, seen: list[Contents]) -> None:
    """With the root key in hand, as a keeper is born."""
    with RootKey.take(bytearray.fromhex(vector.keys["root"])) as root:
        enter(vector, root, seen)


def by_slot(vector: Vector, _: list[Contents]) -> None:
    """As a client that makes a proof: the public slot, and the root key in it."""
    public = read_slot(vector.path)
    assert PublicSlot.from_wire(public.as_wire()) == public
    root_by(vector, "passphrase")


def by_copy(vector: Vector, _: list[Contents]) -> None:
    """As a backup is checked: the file alone, read-only."""
    with RootKey.take(bytearray.fromhex(vector.keys["root"])) as root:
        verify_copy(vector.path, root)


_ENTRANCES: dict[str, Callable[[Vector, list[Contents]], None]] = {
    "passphrase": by_passphrase,
    "recovery": by_recovery,
    "slot": by_slot,
    "root": by_root,
    "copy": by_copy,
}


def test_every_entrance(vector: Vector) -> None:
    """Each entrance gives just what is in the vault, or just the error that stands in the vector."""
    before = vector.path.read_bytes()
    for entrance, enter_by in _ENTRANCES.items():
        seen: list[Contents] = []
        code = attempt(lambda enter_by=enter_by, seen=seen: enter_by(vector, seen))  # type: ignore[misc]
        assert (entrance, code or "ok") == (entrance, vector.expected(entrance))
        assert all(each == vector.contents for each in seen)
        assert bool(seen) is (not code and entrance not in {"slot", "copy"})
        write(vector.path, before)


def test_backup_of_a_vector(vector: Vector, tmp_path: Path) -> None:
    """What opens can be backed up, and the backup has the same in it."""
    if not vector.is_good:
        assert vector.expected("root") != "ok"
        return
    with RootKey.take(bytearray.fromhex(vector.keys["root"])) as root:
        with Vault.open(vector.path, root) as vault:
            vault.backup(tmp_path / "backup.kv")
        with Vault.open(tmp_path / "backup.kv", root) as copy:
            assert read_all(copy) == vector.contents


@pytest.mark.parametrize("key", ["passphrase", "recovery", "root"])
def test_independent_reader(vector: Vector, key: str) -> None:
    """A reader that knows the document alone gives the same contents, and refuses for the same reason."""
    words = {"passphrase": "wrong-passphrase", "recovery": "wrong-recovery"}
    try:
        found = independent_reader.read(vector.path, {key: vector.keys[key]})
    except independent_reader.Refused as refusal:
        word = str(refusal)
        assert words.get(word, f"vault-{word}") == vector.expected(key)
    else:
        assert vector.expected(key) == "ok"
        assert found == vector.contents


def test_independent_reader_is_independent() -> None:
    """The reader imports nothing of kv."""
    tree = ast.parse(Path(independent_reader.__file__).read_text("utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in imported if name.split(".")[0] in {"kv", "brokers", "vault", "vectors"}}
    assert "nacl.bindings" in imported


def test_there_are_enough() -> None:
    """There are thirty vectors at least, and most of them are hostile."""
    hostile = [name for name in NAMES if not name.startswith("ok-")]
    assert len(NAMES) >= 30
    assert len(hostile) > len(NAMES) / 2

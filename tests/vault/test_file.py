"""The vault's place on disk: what is refused before SQLite may look at it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from vault.world import NOW, World, code_of, write

from kv.vault.kdf import FLOOR
from kv.vault.session import Vault, read_slot

if TYPE_CHECKING:
    from pathlib import Path


def both(world: World) -> str:
    """The code that every way in ends with."""
    code = code_of(world.open)
    assert code_of(lambda: read_slot(world.path)) == code
    return code


def test_missing(world: World) -> None:
    """No file, no folder: missing, and nothing is made."""
    world.path.unlink()
    assert both(world) == "vault-missing"
    world.path.parent.rmdir()
    assert both(world) == "vault-missing"
    assert not world.path.parent.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777, 0o610])
def test_reachable_file(world: World, mode: int) -> None:
    """A file that group or others can reach is refused."""
    world.path.chmod(mode)
    assert both(world) == "vault-unsafe"


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777, 0o720])
def test_writable_folder(world: World, mode: int) -> None:
    """A folder that others can write is refused, sticky or not: they could put a journal beside the vault."""
    world.path.parent.chmod(mode)
    assert both(world) == "vault-unsafe"
    world.path.parent.chmod(0o755)
    world.open().close()


def test_links_and_kinds(world: World) -> None:
    """A symbolic link, a folder, a fifo, a device in the vault's place are refused."""
    real = world.path.with_name("real.kv")
    world.path.rename(real)
    world.path.symlink_to(real)
    assert both(world) == "vault-unsafe"
    world.path.unlink()
    world.path.mkdir()
    assert both(world) == "vault-unsafe"
    world.path.rmdir()
    os.mkfifo(world.path, 0o600)
    assert both(world) == "vault-unsafe"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")
def test_other_owner(world: World) -> None:
    """A file, or a folder, of another user is refused."""
    os.chown(world.path, 65534, 65534)
    assert both(world) == "vault-unsafe"
    os.chown(world.path, 0, 0)
    os.chown(world.path.parent, 65534, 65534)
    assert both(world) == "vault-unsafe"


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
def test_companions(world: World, suffix: str) -> None:
    """What SQLite would read beside the vault is held to the same: no link, nobody else's reach."""
    beside = world.path.with_name(world.path.name + suffix)
    beside.symlink_to("/etc/passwd")
    assert both(world) == "vault-unsafe"
    beside.unlink()
    beside.touch(0o644)
    beside.chmod(0o644)
    assert both(world) == "vault-unsafe"


@pytest.mark.parametrize("data", [b"", b"x", b"SQLite format 3\0", bytes(8192), b"age-encryption.org/v1\n" * 900])
def test_foreign(world: World, data: bytes) -> None:
    """A file of another kind is foreign, and stays as it is."""
    write(world.path, data)
    assert both(world) == "vault-foreign"
    assert world.path.read_bytes() == data


def test_foreign_database(world: World) -> None:
    """Another program's database is foreign, and stays as it is, its journal too."""
    world.path.unlink()
    write(world.path, b"")
    world.edit("CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    before = world.path.read_bytes()
    assert both(world) == "vault-foreign"
    assert world.path.read_bytes() == before


def test_truncation_and_growth(world: World) -> None:
    """A byte less, a page less, a byte more: damaged, whatever was cut or added."""
    world.fill()
    whole = world.path.read_bytes()
    for data in (whole[:-1], whole[:-4096], whole[: len(whole) // 2], whole + b"\0", whole + bytes(4096)):
        write(world.path, data)
        assert code_of(world.open) == "vault-damaged"
    write(world.path, whole[:50])
    assert both(world) == "vault-foreign"


def test_create_in_an_unsafe_folder(tmp_path: Path) -> None:
    """Where a vault could not be opened, none is made."""
    tmp_path.chmod(0o777)
    path = tmp_path / "vault.kv"
    assert code_of(lambda: Vault.create(path, b"quixotic plover 92 anthem giraffe", kdf=FLOOR)) == "vault-unsafe"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["replaced", "removed", "log"])
def test_replaced_while_open(world: World, what: str) -> None:
    """A write that would go into a file which is no longer the vault is refused, not acknowledged and lost."""
    vault = world.open()
    vault.put("secret", "a", {}, b"v", now=NOW)
    if what == "replaced":
        shutil.copy(world.path, world.path.with_name("other"))
        world.path.with_name("other").replace(world.path)
    elif what == "removed":
        world.path.unlink()
    else:
        world.path.with_name("vault.kv-wal").unlink()
    generation = vault.generation
    assert code_of(lambda: vault.put("secret", "b", {}, b"v", now=NOW)) == "vault-damaged"
    assert (vault.generation, vault.get("secret", "b")) == (generation, None)
    vault.close()


def test_strange_path(world: World) -> None:
    """A path with SQLite's URI characters, spaces and bytes that are no UTF-8 is a path like others."""
    folder = world.path.parent / os.fsdecode(b"a ?b#c%41&mode=memory \xff")
    folder.mkdir(0o700)
    moved = folder / "v?x=1#y%20.kv"
    world.path.rename(moved)
    Vault.open(moved, world.root).close()
    assert [each.name for each in folder.iterdir()] == [moved.name]

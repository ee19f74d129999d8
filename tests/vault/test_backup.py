"""Backups: a file that opens, or none."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from vault.world import NOW, World, code_of, contents

from kv.vault import backup as backups
from kv.vault.format import damaged
from kv.vault.session import Vault

if TYPE_CHECKING:
    from pathlib import Path

    from kv.vault.store import Store


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the backup goes: a folder that others can write, as a stick's is."""
    folder = tmp_path / "stick"
    folder.mkdir(0o777)
    folder.chmod(0o777)
    return folder / "backup.kv"


def test_backup(world: World, target: Path) -> None:
    """A backup has everything that was acknowledged before it, is one file for its owner alone, and opens."""
    world.fill()
    with world.open() as vault:
        vault.put("secret", "late", {}, b"in the log only", now=NOW)
        vault.seal_audit_head(b"head")
        vault.backup(target)
        vault.put("secret", "later", {}, b"not in it", now=NOW)
        before, generation = contents(vault), vault.generation
    assert [each.name for each in target.parent.iterdir()] == ["backup.kv"]
    assert target.stat().st_mode & 0o777 == 0o600
    target.parent.chmod(0o700)
    with Vault.open(target, world.root, seen=generation) as copy:
        assert copy.read_only
        assert copy.audit_head == b"head"
        assert {**contents(copy), ("secret", "later"): before["secret", "later"]} == before


def test_backup_never_replaces(world: World, target: Path) -> None:
    """A file or a link that is there stays as it is."""
    target.write_text("mine")
    with world.open() as vault:
        assert code_of(lambda: vault.backup(target)) == "disk"
        assert target.read_text() == "mine"
        link = target.with_name("link")
        link.symlink_to(target.with_name("elsewhere"))
        assert code_of(lambda: vault.backup(link)) == "disk"
        assert code_of(lambda: vault.backup(target.parent / "no" / "such")) == "disk"
    assert {each.name for each in target.parent.iterdir()} == {"backup.kv", "link"}


def test_backup_through_a_descriptor(world: World, target: Path) -> None:
    """A folder may be given by its descriptor, as the keeper gets it."""
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with world.open() as vault:
            vault.backup(f"/proc/self/fd/{folder}/backup.kv")
    finally:
        os.close(folder)
    assert target.exists()


def test_damaged_backup_is_not_left(world: World, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that does not check out is removed, and the error says so."""

    def truncate(_: Store, path: str) -> None:
        shutil.copy(world.path, path)
        os.truncate(path, 8192)

    world.fill()
    with world.open() as vault:
        vault.put("secret", "late", {}, b"in the log only", now=NOW)
        monkeypatch.setattr("kv.vault.store.Store.copy_to", truncate)
        assert code_of(lambda: vault.backup(target)) == "vault-damaged"
        monkeypatch.setattr("kv.vault.store.Store.copy_to", lambda _, path: shutil.copy(world.path, path))
        assert code_of(lambda: vault.backup(target)) == "vault-damaged"  # an older generation than the vault's own
    assert not target.exists()


def test_planted_journal_is_not_played(world: World, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check looks at the copied file alone, whatever stands beside it."""
    checked = backups.check_copy

    def plant(path: str, *rest: object) -> None:
        target.with_name("backup.kv-wal").write_bytes(os.urandom(5000))
        checked(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(backups, "check_copy", plant)
    with world.open() as vault:
        vault.backup(target)
    assert target.exists()
    assert damaged("x").code == "vault-damaged"

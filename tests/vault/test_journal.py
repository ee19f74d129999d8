"""What is left beside a vault: by a keeper that was killed, or by an enemy."""

# ruff: noqa: S311 - damage needs no cryptography

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from vault.world import NOW, Template, World, attempt, code_of, write

from kv.vault.session import read_slot
from kv.vault.slots import seal_recovery

if TYPE_CHECKING:
    from kv.vault.session import RootKey

DECLARED = {"vault-damaged", "vault-foreign", "vault-version", "vault-kdf", "vault-busy", "disk"}


def killed(world: World, folder: Path) -> World:
    """What lies on disk while `world` is open and has unfolded writes, as a copy in `folder`."""
    folder.mkdir(0o700)
    for each in world.path.parent.iterdir():
        if each.is_file():
            shutil.copy(each, folder / each.name)
    for each in folder.iterdir():
        each.chmod(0o600)
    return World(folder / world.path.name, world.code, world.root)


@pytest.fixture
def left(world: World, tmp_path: Path) -> World:
    """A vault whose last ten writes are only in the log beside it."""
    world.fill()
    with world.open() as vault:
        for number in range(10):
            vault.put("secret", f"log/{number}", {}, b"v%d" % number, now=NOW)
        return killed(world, tmp_path / "killed")


def test_log_is_folded_in(left: World) -> None:
    """After `kill -9` every acknowledged write is there at the next unlock, and the vault is one file again."""
    assert left.path.with_name("vault.kv-wal").stat().st_size > 0
    with left.open() as vault:
        assert [name for name in vault.names("secret") if name.startswith("log")] == [f"log/{n}" for n in range(10)]
        assert vault.value("secret", "log/7").expose() == b"v7"
    assert [each.name for each in left.path.parent.iterdir()] == ["vault.kv"]


def test_slot_behind_a_log(world: World, tmp_path: Path) -> None:
    """A slot that was replaced just before the kill is the one that is read, and reading it loses nothing."""
    with world.open() as vault:
        old = vault.public_slot("recovery")
        vault.replace_slot("recovery", seal_recovery(world.root, vault.id)[0])
        new = vault.public_slot("recovery")
        copy = killed(world, tmp_path / "killed")
    assert old != new
    assert read_slot(copy.path, "recovery") == new
    with copy.open() as vault:
        assert vault.public_slot("recovery") == new


def test_lost_log_is_older(left: World) -> None:
    """Without its log the vault is an older one: whole, but behind the generation that was seen."""
    left.path.with_name("vault.kv-wal").unlink()
    with left.open() as vault:
        assert vault.get("secret", "log/0") is None
        generation = vault.generation
    with left.open(seen=generation + 10) as vault:
        assert vault.read_only


def test_cut_log(left: World) -> None:
    """A log that is cut anywhere leaves a vault that is whole, with the writes before the cut."""
    log = left.path.with_name("vault.kv-wal")
    data, whole = log.read_bytes(), left.path.read_bytes()
    for size in sorted(random.Random(7).sample(range(len(data)), 12)):
        write(left.path, whole)
        write(log, data[:size])
        with left.open() as vault:
            found = [name for name in vault.names("secret") if name.startswith("log")]
            assert found == [f"log/{n}" for n in range(len(found))]


def test_garbled_log(left: World) -> None:
    """A log with any byte changed is ignored from there on: never an error of SQLite's, never half a write."""
    log = left.path.with_name("vault.kv-wal")
    data, whole = log.read_bytes(), left.path.read_bytes()
    rng = random.Random(11)
    for _ in range(12):
        garbled = bytearray(data)
        garbled[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        write(left.path, whole)
        write(log, bytes(garbled))
        with left.open() as vault:
            found = [name for name in vault.names("secret") if name.startswith("log")]
            assert found == [f"log/{n}" for n in range(len(found))]


def test_planted_log(world: World, tmp_path: Path) -> None:
    """A log that was made for this file by an enemy, with valid checksums, is played back and then found out."""
    world.fill()
    evil = tmp_path / "evil"
    evil.mkdir(0o700)
    shutil.copy(world.path, evil / "vault.kv")
    db = sqlite3.connect(evil / "vault.kv", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    for statement, code in (
        ("DELETE FROM records WHERE part = 2 AND revision = 2", "vault-damaged"),
        ("CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM slots; END", "vault-damaged"),
        ("PRAGMA user_version=2", "vault-version"),
    ):
        db.execute(statement)
        copy = killed(World(evil / "vault.kv", "", world.root), tmp_path / str(abs(hash(statement))))
        assert code_of(copy.open) == code
        db.execute("DROP TRIGGER IF EXISTS t")
    db.close()


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
@pytest.mark.parametrize("seed", range(4))
def test_garbage_beside(world: World, suffix: str, seed: int) -> None:
    """Garbage in place of a journal ends in the vault as it was, or in a listed error."""
    world.fill()
    before = world.contents()
    rng = random.Random(seed)
    data = rng.randbytes(rng.choice([1, 31, 32, 512, 4096, 20_000]))
    if suffix == "-journal" and seed % 2:
        data = bytes.fromhex("d9d505f920a163d7") + data
    write(world.path.with_name("vault.kv" + suffix), data)
    code = attempt(lambda: world.open().close())
    assert code in DECLARED or (code == "" and world.contents() == before)


def test_hot_journal(world: World, tmp_path: Path) -> None:
    """A rollback journal with a whole older page is played back by SQLite, and found out by us."""
    world.fill()
    evil = tmp_path / "evil"
    evil.mkdir(0o700)
    shutil.copy(world.path, evil / "vault.kv")
    (evil / "vault.kv").chmod(0o600)
    db = sqlite3.connect(evil / "vault.kv", isolation_level=None)
    db.execute("PRAGMA synchronous=OFF")  # the journal is then good without having been synced
    db.execute("DELETE FROM records WHERE part = 2")
    db.execute("BEGIN")
    db.execute("DELETE FROM records")
    copy = killed(World(evil / "vault.kv", "", world.root), tmp_path / "copy")
    db.execute("ROLLBACK")
    db.close()
    # The copy's main file is whole; its journal would "restore" the pages without the values.
    shutil.copy(world.path, copy.path)
    assert copy.path.with_name("vault.kv-journal").stat().st_size > 4096
    assert code_of(copy.open) == "vault-damaged"


def test_full_disk(world: World) -> None:
    """A write that finds no room is refused as a whole: what was there stays, in memory and on disk."""
    world.fill()
    with world.open() as vault:
        vault.put("secret", "a", {}, b"v", now=NOW)
        generation, before = vault.generation, sorted(vault.names("secret"))
        pages = vault._store._db.execute("PRAGMA page_count").fetchone()[0]
        vault._store._db.execute(f"PRAGMA max_page_count={pages}")
        assert code_of(lambda: vault.put("secret", "big", {}, bytes(1 << 20), now=NOW)) == "disk-full"
        assert (vault.generation, vault.names("secret")) == (generation, before)
        vault._store._db.execute("PRAGMA max_page_count=100000")
        vault.put("secret", "big", {}, bytes(1 << 20), now=NOW)
    assert ("secret", "big") in world.contents()


_FILL = """
import resource, signal, sys
from kv.errors import KvError
from kv.vault.session import RootKey, Vault
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
vault = Vault.open(sys.argv[1], RootKey.take(bytearray(sys.stdin.buffer.read())))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
done = 0
try:
    for number in range(1000):
        vault.put("secret", "n%d" % number, {}, bytes(1000), now=1.0)
        done += 1
except KvError as error:
    print(done, error.code, vault.count("secret"))
vault.close()
"""


def test_file_limit(world: World) -> None:
    """A limit of the system's in the middle of writing ends in one listed error; all acknowledged writes are kept."""
    with world.root.expose() as key:
        done = subprocess.run(
            [sys.executable, "-c", _FILL, str(world.path)], input=bytes(key), capture_output=True, check=False
        )
    assert done.returncode == 0, done.stderr
    count, code, counted = done.stdout.split()
    assert code in {b"disk", b"disk-full"}
    assert int(counted) == int(count) > 5
    with world.open() as vault:
        assert vault.count("secret") == int(count)


def test_read_only_folder(template: Template) -> None:
    """A folder that cannot be written is a listed error, for an ordinary user."""
    with tempfile.TemporaryDirectory() as name:
        world = template.put_down(Path(name))
        if os.geteuid() == 0:
            os.chown(world.path, NOBODY, NOBODY)
            os.chown(world.path.parent, NOBODY, NOBODY)
        world.path.parent.chmod(0o500)
        assert _open_elsewhere(world.path, world.root, NOBODY) == "disk"
        world.path.parent.chmod(0o700)
        assert _open_elsewhere(world.path, world.root, NOBODY) == "ok"


def test_another_program_holds_it(world: World) -> None:
    """While another program has a lock on the file, it is busy, not damaged."""
    db = sqlite3.connect(world.path, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    # The other one is this process, so ask from one that is not.
    assert _open_elsewhere(world.path, world.root) == "vault-busy"
    db.execute("ROLLBACK")
    db.close()
    assert _open_elsewhere(world.path, world.root) == "ok"


NOBODY = 65534

_OPEN = """
import os, sys
from kv.errors import KvError
from kv.vault import database
from kv.vault.session import RootKey, Vault
database._WAIT = 0.1
uid = int(sys.argv[2])
if uid and os.geteuid() == 0:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
try:
    Vault.open(sys.argv[1], RootKey.take(bytearray(sys.stdin.buffer.read()))).close()
    print("ok")
except KvError as error:
    print(error.code)
"""


def _open_elsewhere(path: Path, root: RootKey, uid: int = 0) -> str:
    """What opening the vault in another process, of an ordinary user if `uid` says so, ends in."""
    with root.expose() as key:
        done = subprocess.run(
            [sys.executable, "-c", _OPEN, str(path), str(uid)], input=bytes(key), capture_output=True, check=False
        )
    return done.stdout.decode().strip() or done.stderr.decode()


def test_open_elsewhere_is_busy(world: World) -> None:
    """While a vault is open no other process opens it, nor reads its slots."""
    with world.open():
        assert _open_elsewhere(world.path, world.root) == "vault-busy"
    assert _open_elsewhere(world.path, world.root) == "ok"

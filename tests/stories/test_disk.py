"""A disk that is full, and a folder that takes nothing: said in one sentence, and what was there is there."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from world import UNPRIVILEGED, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAILED = 1


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    """A vault on a disk of 1 MiB, where this user may make one."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no disk can be mounted here: that takes root")
    try:
        with World(tmp_path) as world:
            yield world.init()
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte free."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))
    return filler


def code_of(world: World, *args: str, **options: object) -> tuple[int, str]:
    """Status and code of what has to end in an error."""
    ran = world.kv(*args, "--json", **options)  # type: ignore[arg-type]  # those of `kv`
    return ran.status, ran.json["error"]["code"]


def test_a_full_disk_changes_nothing(small: World) -> None:
    """No record, no action: what changes is refused, what is there stays readable, and room makes it go on."""
    small.store("K", b"value-of-k-0001")
    filler = fill(small.folder)
    assert code_of(small, "set", "K", "--stdin", stdin=bytes(200_000), proof=True) == (FAILED, "audit-unwritable")
    assert code_of(small, "rm", "K", proof=True) == (FAILED, "audit-unwritable")
    assert code_of(small, "get", "K", "--output", "k.txt", proof=True) == (FAILED, "audit-unwritable")
    assert code_of(small, "backup", "copy.kv") == (FAILED, "disk-full")
    assert not (small.folder / "copy.kv").exists()
    assert [(row["name"], row["revision"]) for row in small.must("ls", "--json").json] == [("K", 1)]
    filler.unlink()
    small.must("get", "K", "--output", "k.txt", proof=True)
    assert (small.folder / "k.txt").read_bytes() == b"value-of-k-0001"
    assert small.must("audit", "verify").status == 0


def test_what_is_larger_than_the_disk_is_not_stored(small: World) -> None:
    """The audit has room and the value has none: the old value stays, and the keeper works on, with room as before."""
    small.store("K", b"value-of-k-0001")
    pid = small.must("status", "--json").json["pid"]
    ran = code_of(small, "set", "K", "--stdin", stdin=bytes(range(1, 256)) * 4000, proof=True)
    assert ran == (FAILED, "disk-full")
    assert small.must("show", "K", "--json").json["revision"] == 1
    assert small.must("generate", "L", "--json", proof=True).json["revision"] == 1
    assert small.must("status", "--json").json["pid"] == pid


def test_a_folder_that_takes_nothing(small: World) -> None:
    """On a disk that is read-only a vault is neither unlocked nor made nor copied to; and it is as it was."""
    small.must("lock")
    vault = small.folder / "vault.kv"
    before = vault.read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(small.folder)], check=True)
    try:
        assert code_of(small, "unlock", proof=True)[0] == FAILED
        assert code_of(small, "set", "K", "--stdin", stdin=b"12345678", proof=True)[0] == FAILED
        assert code_of(small, "backup", "copy.kv") == (FAILED, "disk")
        recovery = ("--no-totp", "--recovery-file", "rc", "--vault", str(small.folder / "second.kv"))
        assert code_of(small, "init", *recovery, proof=True) == (FAILED, "disk")
        assert small.kv("status", "--json").json["locked"] is True
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small.folder)], check=True)
    assert vault.read_bytes() == before
    small.must("unlock", proof=True)


def test_a_folder_without_write_permission(tmp_path: Path) -> None:
    """What cannot be written is said, and nothing half-made is left."""
    with World(tmp_path, prefix=UNPRIVILEGED) as world:
        world.init()
        closed = world.folder / "closed"
        closed.mkdir(0o500)
        assert code_of(world, "backup", "closed/copy.kv") == (FAILED, "disk")
        assert list(closed.iterdir()) == []

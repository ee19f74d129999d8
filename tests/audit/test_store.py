"""The file: what is refused before SQLite sees it, and who else may be at it."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest
from audit.world import KEY, World, call

from kv.audit import AuditLog, Report, verify
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def symlink(path: Path) -> None:
    """Put the log elsewhere and link to it."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def fifo(path: Path) -> None:
    """A pipe in place of the log would make the keeper hang."""
    path.unlink()
    os.mkfifo(path, 0o600)


def folder(path: Path) -> None:
    """A folder in place of the log."""
    path.unlink()
    path.mkdir(mode=0o700)


UNSAFE = {
    "it is not a regular file": [symlink, fifo, folder, lambda path: path.with_name("audit.kv-wal").symlink_to("x")],
    "others can reach it (chmod 600)": [lambda path: path.chmod(0o640), lambda path: path.chmod(0o602)],
    "it has a second name (hard link)": [lambda path: path.with_name("second").hardlink_to(path)],
}


@pytest.mark.parametrize(("why", "spoil"), [(why, each) for why, all_ in UNSAFE.items() for each in all_])
def test_unsafe(history: World, why: str, spoil: Callable[[Path], None]) -> None:
    """A link, pipe or folder in place of the log, or one that others can reach, is refused and left as it is."""
    spoil(history.path)
    before = sorted(each.name for each in history.path.parent.iterdir())
    for act in (history.unlock, history.verify):
        with pytest.raises(KvError) as caught:
            act()
        assert caught.value.code == "disk"
        assert caught.value.fields["why"] == why
    assert sorted(each.name for each in history.path.parent.iterdir()) == before


def test_another_users(history: World) -> None:
    """A log that belongs to another user is refused."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(history.path, 12345, -1)
    with pytest.raises(KvError, match="it belongs to another user"):
        history.unlock()


def test_dangling_link_is_not_followed(world: World) -> None:
    """A link planted before the first unlock does not make kv create a file where it points."""
    world.path.symlink_to(world.path.with_name("target"))
    with pytest.raises(KvError, match="it is not a regular file"):
        world.unlock()
    assert not world.path.with_name("target").exists()


def test_no_folder(tmp_path: Path) -> None:
    """Where the log cannot be created, the error names the path and the system's reason."""
    with pytest.raises(KvError, match=r"cannot create .*/none/audit\.kv: No such file or directory"):
        AuditLog.open(tmp_path / "none" / "audit.kv", KEY, None)


def test_locked_by_another(history: World) -> None:
    """A program that holds the database's lock makes acts fail at once; the log is whole when it lets go."""
    log = history.unlock()
    other = sqlite3.connect(history.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(KvError) as caught:
        call(log)
    assert caught.value.code == "audit-unwritable"
    other.execute("ROLLBACK")
    other.close()
    call(log)
    history.lock(log)
    assert history.verify().entries == 18


def test_appended_by_another(history: World) -> None:
    """A row that another program put where the next entry goes refuses the act: nothing is written over it."""
    log = history.unlock()
    history.edit("INSERT INTO entry VALUES (16, x'7b7d', zeroblob(32))")
    with pytest.raises(KvError) as caught:
        call(log)
    assert caught.value.code == "audit-unwritable"
    with pytest.raises(KvError, match="entry 16: it is not an entry"):
        list(log.entries(after=14))


def test_verify_beside_a_writer(world: World) -> None:
    """Verification in a thread agrees with a log that is being written all the while, and does not disturb it."""
    log = world.unlock()
    for number in range(200):
        call(log, number)
    head = log.head
    reports: list[Report] = []
    thread = threading.Thread(target=lambda: reports.extend(verify(world.path, KEY, head) for _ in range(3)))
    thread.start()
    while thread.is_alive():
        call(log)
    thread.join()
    assert len(reports) == 3
    assert all(report.entries - report.beyond == 401 for report in reports)
    world.lock(log)
    assert world.verify().beyond == 0
    assert [each.name for each in world.path.parent.iterdir()] == [world.path.name]


def test_evidence_is_bounded(world: World) -> None:
    """Ninety-nine damaged logs are kept; then the unlock is refused rather than the disk filled or evidence lost."""
    world.lock(world.unlock())
    for number in range(1, 100):
        world.path.with_name(f"audit.kv.broken-{number}").touch()
    world.path.write_bytes(b"damaged")
    with pytest.raises(KvError, match="99 damaged logs stand beside it"):
        world.unlock()
    assert world.path.read_bytes() == b"damaged"


def test_path_as_text(tmp_path: Path) -> None:
    """A path may be given as text."""
    log = AuditLog.open(str(tmp_path / "audit.kv"), KEY, None)
    assert verify(str(tmp_path / "audit.kv"), KEY, log.close()).entries == 2

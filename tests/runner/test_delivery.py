"""Values beside the environment: where a file may come to be, what a descriptor is, what is cleaned up."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kv.errors import KvError
from kv.runner.delivery import Files, numbers, roots, sealed, sweep, variable
from kv.runner.messages import Lent

if TYPE_CHECKING:
    from collections.abc import Iterator


def a_file(to: str, name: str = "K") -> Lent:
    """A secret as a file."""
    return Lent(name, "file", to, 3)


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder of one's own in memory."""
    made = Path("/dev/shm") / f"kv-test-{os.getpid()}"  # noqa: S108 - of the test's own, and removed
    made.mkdir(mode=0o700)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """The working folder, as a descriptor."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_a_file_is_private_in_memory_and_gone_afterwards(root: Path, folder: int, tmp_path: Path) -> None:
    """0600 in a folder 0700; what stands in the working folder is a link."""
    files = Files([str(root)])
    (tmp_path / "sub").mkdir()
    files.add(folder, a_file("sub/k"), b"abc")
    place = tmp_path / "sub" / "k"
    assert place.read_bytes() == b"abc"
    target = place.readlink()
    assert target.is_relative_to(root)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert stat.S_IMODE(target.parent.stat().st_mode) == 0o700
    files.clear()
    assert not os.path.lexists(place)
    assert not any(root.iterdir())


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("../k", "below"),
        ("/etc/k", "below"),
        ("", "below"),
        ("a//k", "below"),
        ("./k", "below"),
        ("link/k", "link"),
        ("none/k", "does not exist"),
        ("taken", "exists already"),
        ("link", "exists already"),
    ],
)
def test_a_place_that_is_not_free_below_the_folder_is_refused(
    root: Path, folder: int, tmp_path: Path, to: str, why: str
) -> None:
    """No way out, no link on the way, nothing overwritten."""
    (tmp_path / "taken").write_text("x")
    (tmp_path / "link").symlink_to("/")
    files = Files([str(root)])
    with pytest.raises(KvError, match=why) as raised:
        files.add(folder, a_file(to), b"abc")
    assert raised.value.code == "run-delivery"
    files.clear()
    assert (tmp_path / "taken").read_text() == "x"
    assert not any(root.iterdir())


def test_a_disk_is_refused(folder: int, tmp_path: Path) -> None:
    """No value is written to one, not even for a moment."""
    files = Files([str(tmp_path)])
    if os.statvfs(tmp_path).f_fsid == os.statvfs("/dev/shm").f_fsid:  # noqa: S108 - only looked at
        pytest.fail("this test wants a temporary folder on a disk")
    with pytest.raises(KvError, match="in memory"):
        files.add(folder, a_file("k"), b"abc")
    assert not any(tmp_path.iterdir())


def test_what_a_killed_run_left_is_removed_and_a_live_ones_stays(root: Path, folder: int, tmp_path: Path) -> None:
    """The link too, unless something else stands in its place by now."""
    dead, live = Files([str(root)]), Files([str(root)])
    for name, files in (("dead", dead), ("live", live)):
        files.add(folder, a_file(name), b"abc")
        files.add(folder, a_file(f"{name}2"), b"abc")
    (tmp_path / "dead2").unlink()
    (tmp_path / "dead2").write_text("the agent's")
    os.close(dead._held)  # as the end of the process does
    for made in root.iterdir():
        os.utime(made, (1, 1))
    sweep(str(root))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dead2", "live", "live2"]
    assert (tmp_path / "dead2").read_text() == "the agent's"
    assert len(list(root.iterdir())) == 1
    live.clear()


def test_what_one_killed_run_left_is_removed_at_once(root: Path, folder: int, tmp_path: Path) -> None:
    """However young it is; another's is left alone, and one whose number merely begins alike."""
    dead, live = Files([str(root)]), Files([str(root)])
    dead.add(folder, a_file("dead"), b"abc")
    live.add(folder, a_file("live"), b"abc")
    os.close(dead._held)  # as the end of the process does
    (root / f"kv-run-{os.getpid()}0-x").mkdir()
    sweep(str(root), os.getpid() + 1)
    assert len(list(root.iterdir())) == 3
    sweep(str(root), os.getpid())
    assert [path.name for path in tmp_path.iterdir()] == ["live"]
    assert len(list(root.iterdir())) == 2
    live.clear()


def test_another_users_folder_or_a_young_one_is_left_alone(root: Path) -> None:
    """Somebody may be about to lock it."""
    (root / "kv-run-young").mkdir()
    (root / "other").mkdir()
    sweep(str(root))
    assert sorted(path.name for path in root.iterdir()) == ["kv-run-young", "other"]


def test_a_descriptor_is_sealed_memory() -> None:
    """It reads from the start, and nobody can write, grow or shrink it, by `/proc/PID/fd` neither."""
    descriptor = sealed(b"abc")
    assert os.read(descriptor, 9) == b"abc"
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) == seals
    again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
    with pytest.raises(PermissionError):
        os.write(again, b"x")
    os.close(again)
    os.close(descriptor)


def test_numbers_are_those_asked_for_or_the_next_that_are_free() -> None:
    """From three on."""
    lent = [Lent("A", "fd", "", 0), Lent("B", "fd", "3", 0), Lent("C", "fd", "", 0), Lent("D", "fd", "5", 0)]
    assert list(numbers(lent).values()) == [3, 5, 4, 6]
    assert {one.name: number for one, number in numbers(lent).items()} == {"B": 3, "D": 5, "A": 4, "C": 6}


@pytest.mark.parametrize("to", ["0", "2", "256", "x", "-1", "\N{SUPERSCRIPT TWO}"])
def test_a_number_out_of_bounds_is_refused(to: str) -> None:
    """The streams' own, and what no table of descriptors may hold."""
    with pytest.raises(KvError, match="3 to 255"):
        numbers([Lent("A", "fd", to, 0)])


def test_the_variable_of_a_descriptor() -> None:
    """The last part of the name, spelled so that a shell can read it."""
    assert variable("prod/api-key.v2") == "api_key_v2_FD"


def test_where_files_lie() -> None:
    """The person's own folder in memory first."""
    assert list(roots()) == [f"/run/user/{os.geteuid()}", "/dev/shm"]  # noqa: S108 - only named

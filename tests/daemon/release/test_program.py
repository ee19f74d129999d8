"""Programs are found as a shell finds them, and pinned as they were found."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kv.daemon.release.program import Programs, named
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """An open folder with programs in it."""
    (tmp_path / "bin").mkdir()
    for name, mode, text in (
        ("tool", 0o755, "#!/bin/sh\necho one\n"),
        ("plain", 0o644, "text"),
        ("elf", 0o755, "\x7fELF"),
    ):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(mode)
    found = os.open(tmp_path, os.O_RDONLY)
    yield found
    os.close(found)


def test_a_program_is_looked_up_in_the_path_that_is_given(folder: int, tmp_path: Path) -> None:
    """The first executable file along it, by its full path; a name with a slash is a path from the folder."""
    path = f"/nowhere:{tmp_path}/bin"
    found = Programs().find("tool", folder, path)
    assert (found.path, found.script) == (f"{tmp_path}/bin/tool", True)
    assert Programs().find("bin/tool", folder, "").digest == found.digest
    assert not Programs().find("elf", folder, path).script


@pytest.mark.parametrize(
    ("command", "code", "status"),
    [
        ("missing", "run-missing", 127),
        ("bin/missing", "run-missing", 127),
        ("plain", "run-refused", 126),
        ("bin/plain", "run-refused", 126),
        ("bin", "run-missing", 127),
        ("./bin", "run-refused", 126),
        ("/dev/null", "run-refused", 126),
    ],
)
def test_what_cannot_be_executed_ends_as_in_a_shell(
    command: str, code: str, status: int, folder: int, tmp_path: Path
) -> None:
    """Status 127 where there is none, 126 where it is a folder, a device, or has no permission."""
    with pytest.raises(KvError) as caught:
        Programs().find(command, folder, f"{tmp_path}/bin")
    assert (caught.value.code, caught.value.exit) == (code, status)


def test_any_change_of_a_program_is_another_pin(folder: int, tmp_path: Path) -> None:
    """Content, even of equal size and with its times set back, and the file itself: each makes another plan."""
    programs, tool = Programs(), tmp_path / "bin" / "tool"
    before, times = programs.find("bin/tool", folder, ""), tool.stat()
    tool.write_text("#!/bin/sh\necho two\n")
    os.utime(tool, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = programs.find("bin/tool", folder, "")
    assert after.digest != before.digest
    assert after.pin != before.pin
    tool.rename(tmp_path / "old")
    tool.write_text("#!/bin/sh\necho two\n")
    tool.chmod(0o755)
    assert programs.find("bin/tool", folder, "").pin[:2] != after.pin[:2]


def test_a_program_that_this_user_can_change_is_told_apart(folder: int) -> None:
    """One in a folder of one's own is; one of the system's is not, unless one is root."""
    programs = Programs()
    assert programs.find("bin/tool", folder, "").ours
    assert programs.find("/bin/true", folder, "").ours is (os.geteuid() == 0)


@pytest.mark.parametrize(
    ("command", "told"),
    [("/usr/bin/npm", "npm"), ("g++-12", "g++-12"), ("a key=sk_live_1", "that program"), ("x" * 65, "that program")],
)
def test_an_error_names_what_can_only_be_a_name(command: str, told: str) -> None:
    """What may be a key that was pasted by mistake is not told back."""
    assert named(command) == told

"""The program of a `kv run`: found as a shell finds it, and pinned, so that what was approved is what is executed.

Rules of this file
- A program is looked up in the PATH that the plan says, never in the keeper's own, and executed by that very path: a
  virtual environment's python is a link that knows where it lies.
- The pin is the file behind the path: its inode and a digest of its content. A digest is remembered by what changes
  with the content (`st_ctime_ns` is the kernel's to set), so the second look costs a `stat`.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import NamedTuple

from kv.errors import KvError

_CHUNK = 1 << 20
_MOST = 1 << 30  # bytes that are digested; of a larger program the inode and its times are the pin
_REMEMBERED = 256  # digests: programs that people run with secrets are few
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")  # what may be told back: anything else may be a pasted key
_SCRIPT = b"#!"


class Program(NamedTuple):
    """A file to execute. `pin` is (device, inode, size, mtime ns, ctime ns); `digest` 64 hex digits or "".

    `ours` says that programs of this user can change it, `script` that it begins with `#!`.
    """

    path: str
    pin: tuple[int, int, int, int, int]
    digest: str
    ours: bool
    script: bool


class Programs:
    """Looks programs up. One per keeper, for what it remembers."""

    def __init__(self) -> None:
        self._digests: dict[tuple[int, int, int, int, int], tuple[str, bool]] = {}

    def find(self, command: str, folder: int, path: str) -> Program:
        """The program that `command` names, seen from the folder of that descriptor.

        Raises `KvError("run-missing" | "run-refused")`.
        """
        if not command:
            raise KvError("run-missing", name="''", help="")
        place = command if "/" in command else _search(command, folder, path)
        try:
            file = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except PermissionError:
            return self._unread(command, place, folder)
        except OSError:
            raise missing(command) from None
        try:
            found = os.fstat(file)
            _check(command, found, place, folder)
            digest, script = self._digest(file, found)
        finally:
            os.close(file)
        return Program(place, pin(found), digest, _is_ours(found, place, folder), script)

    def _unread(self, command: str, place: str, folder: int) -> Program:
        """A program that may be executed and not read: its inode and times are the pin."""
        try:
            found = os.stat(place, dir_fd=folder)
        except OSError:
            raise missing(command) from None
        _check(command, found, place, folder)
        return Program(place, pin(found), "", _is_ours(found, place, folder), script=False)

    def _digest(self, file: int, found: os.stat_result) -> tuple[str, bool]:
        key = pin(found)
        if key not in self._digests:
            if len(self._digests) >= _REMEMBERED:
                self._digests.pop(next(iter(self._digests)))
            self._digests[key] = _read(file) if found.st_size <= _MOST else ("", False)
        return self._digests[key]


def pin(found: os.stat_result) -> tuple[int, int, int, int, int]:
    """What a file is known by."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def missing(command: str) -> KvError:
    """The error for a command that nothing answers to."""
    helps = (
        "" if "/" in command else "it is looked for in the PATH of the shell that unlocked the vault; or give its path"
    )
    return KvError("run-missing", name=named(command), help=helps)


def named(command: str) -> str:
    """A command as an error tells it: the last part of its path, where that can only be a name."""
    last = command.rstrip("/").rpartition("/")[2]
    return last if _NAME.fullmatch(last) else "that program"


def _search(command: str, folder: int, path: str) -> str:
    """The first executable file of that name along `path`; where there is none, the first file, to tell why."""
    found = ""
    for part in path.split(":"):
        place = os.path.join(part or ".", command)
        try:
            each = os.stat(place, dir_fd=folder)
        except OSError:
            continue
        if stat.S_ISREG(each.st_mode) and _executable(place, folder):
            return place
        found = found or place
    if not found:
        raise missing(command)
    return found


def _check(command: str, found: os.stat_result, place: str, folder: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise KvError("run-refused", name=named(command), why="it is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise KvError("run-refused", name=named(command), why="it is no file")
    if not _executable(place, folder):
        raise KvError("run-refused", name=named(command), why="it may not be executed")


def _executable(place: str, folder: int) -> bool:
    return os.access(place, os.X_OK, dir_fd=folder)


def _is_ours(found: os.stat_result, place: str, folder: int) -> bool:
    """Whether programs of this user can change or replace it: the file, a folder above it, or a link on the way."""
    if found.st_uid == os.geteuid() != 0:
        return True
    here = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), place)
    return any(os.access(above, os.W_OK) for path in (here, os.path.realpath(here)) for above in _chain(path))


def _chain(path: str) -> list[str]:
    """The path, and all folders above it."""
    found = [os.path.normpath(path)]
    while found[-1] != "/":
        found.append(os.path.dirname(found[-1]))
    return found


def _read(file: int) -> tuple[str, bool]:
    digest, start = hashlib.sha256(), b""
    while data := os.read(file, _CHUNK):
        start = start or data[:2]
        digest.update(data)
    return digest.hexdigest(), start == _SCRIPT

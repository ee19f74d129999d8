"""How a program gets a value other than by its environment: through a descriptor, its standard input or a file.

Rules of this file
- No value reaches a disk: a descriptor is sealed memory, a file lies on a memory file system or is refused.
- The file's place in the working folder is a link to it, made where nothing was, below the folder and nowhere else: no
  part of the way may be a link.
- What a killed run left its nursery removes, and if that was killed too, the next run: a run holds a lock on its folder
  as long as it lives.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import time
from typing import TYPE_CHECKING

from kv.disk import reason
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kv.runner.messages import Lent

_TMPFS, _RAMFS = 0x01021994, 0x858458F6  # `f_type` of statfs(2)
_PREFIX = "kv-run-"
_LINK = "link"  # beside the values: where the link to one of them stands, for who has to clean up
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_YOUNG = 10.0  # seconds in which a run makes its folder and takes the lock
_FIRST, _LAST = 3, 255  # numbers of descriptors that a program can be given


def sealed(value: bytes) -> int:
    """A descriptor that reads as `value` from its start, and can be changed by nobody."""
    descriptor = os.memfd_create("kv", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, value)
    os.lseek(descriptor, 0, os.SEEK_SET)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def numbers(lent: Iterable[Lent]) -> dict[Lent, int]:
    """The number of each descriptor: the one asked for, else the next that is free.

    Raises `KvError("run-delivery")`.
    """
    wanted = {one: one.to for one in lent}
    taken: dict[Lent, int] = {}
    for one, text in wanted.items():
        if text:
            if not text.isdecimal() or not _FIRST <= int(text) <= _LAST or int(text) in taken.values():
                raise KvError("run-delivery", name=one.name, why=f"its number has to be free, {_FIRST} to {_LAST}")
            taken[one] = int(text)
    free = (number for number in range(_FIRST, _LAST + 1) if number not in taken.values())
    for one, text in wanted.items():
        if not text:
            number = next(free, None)
            if number is None:
                raise KvError("run-delivery", name=one.name, why="no descriptor's number is left")
            taken[one] = number
    return taken


def variable(name: str) -> str:
    """The variable that tells a secret's number: `prod/API-KEY` gives `API_KEY_FD`."""
    return re.sub(r"\W", "_", name.rpartition("/")[2], flags=re.ASCII) + "_FD"


class Files:
    """The files of one run, which this process is. `clear` removes them; if that never comes, `sweep` does."""

    def __init__(self, roots: Iterable[str]) -> None:
        self._roots = tuple(roots)
        self._root = ""
        self._held = -1
        self._count = 0

    def add(self, folder: int, lent: Lent, value: bytes) -> None:
        """A file with `value`, linked at `lent.to` below `folder`. Raises `KvError("run-delivery")`."""
        try:
            if not self._root:
                self._make_root(lent.name)
            self._count += 1
            path = os.path.join(self._root, str(self._count))
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(value)
            self._link(folder, lent, path)
        except OSError as error:
            full = error.errno == errno.ENOSPC
            why = "there is no room in memory" if full else reason(error)
            raise KvError("run-delivery", name=lent.name, why=why) from None

    def _make_root(self, name: str) -> None:
        for root in self._roots:
            if _in_memory(root) and os.access(root, os.W_OK):
                sweep(root)
                self._root = _fresh(root)
                self._held = os.open(self._root, _FOLDER)
                fcntl.flock(self._held, fcntl.LOCK_EX)
                return
        raise KvError("run-delivery", name=name, why="there is no file system in memory for it")

    def _link(self, folder: int, lent: Lent, path: str) -> None:
        *folders, name = _parts(lent)
        here = os.dup(folder)
        try:
            for part in folders:
                below = os.open(part, _FOLDER, dir_fd=here)
                os.close(here)
                here = below
            place = os.path.join(os.readlink(f"/proc/self/fd/{here}"), name)
            with open(f"{path}.{_LINK}", "wb") as file:
                file.write(os.fsencode(place))
            os.symlink(path, name, dir_fd=here)
        finally:
            os.close(here)

    def clear(self) -> None:
        """Remove the links and the files."""
        if self._root:
            _clear(self._root)
            os.close(self._held)
            self._root = ""


def _parts(lent: Lent) -> list[str]:
    parts = lent.to.split("/")
    if not all(part and part not in {".", ".."} and "\0" not in part for part in parts):
        raise KvError("run-delivery", name=lent.name, why="the path of its file has to lie below the working folder")
    return parts


def roots() -> Iterator[str]:
    """Where a file may lie: the person's folder in memory, then the machine's."""
    yield f"/run/user/{os.geteuid()}"
    yield "/dev/shm"  # noqa: S108 - a folder of ours is made in it, 0700, under a name that nobody can guess


def _fresh(root: str) -> str:
    import secrets

    path = os.path.join(root, f"{_PREFIX}{os.getpid()}-{secrets.token_hex(8)}")
    os.mkdir(path, 0o700)
    return path


def _in_memory(path: str) -> bool:
    """Whether `path` lies on a file system that has no disk (statfs(2))."""
    import ctypes

    buffer = ctypes.create_string_buffer(256)  # `struct statfs` has 120 bytes, its first member is the type
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(path), buffer) != 0:
        return False
    return ctypes.c_long.from_buffer(buffer).value in {_TMPFS, _RAMFS}


def sweep(root: str, pid: int = 0) -> None:
    """Remove what runs that were killed have left in `root`: folders of ours that nobody holds; of all, or of one."""
    prefix, young = (f"{_PREFIX}{pid}-", 0.0) if pid else (_PREFIX, _YOUNG)
    for entry in os.scandir(root):
        if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(OSError):
                held = os.open(entry.path, _FOLDER)
                try:
                    found = os.fstat(held)
                    if found.st_uid == os.geteuid() and time.time() - found.st_mtime >= young:
                        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        _clear(entry.path)
                finally:
                    os.close(held)


def _clear(root: str) -> None:
    for entry in list(os.scandir(root)):
        if entry.name.endswith(f".{_LINK}"):
            with contextlib.suppress(OSError), open(entry.path, "rb") as file:
                place = file.read()
                if os.readlink(place) == os.fsencode(entry.path.removesuffix(f".{_LINK}")):
                    os.unlink(place)
    shutil.rmtree(root, ignore_errors=True)

"""The vault's file and its folder, before SQLite may touch them.

Rules of this file
- The file and what SQLite keeps beside it are regular files of ours that nobody else can reach; no links.
- Nobody else can write the folder: else they could put a journal beside the vault, which SQLite would replay.
- A descriptor of an open database is never closed beside SQLite's own: that would drop its locks (POSIX). So one
  process opens a vault once, and `hold` knows which.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kv.disk import sync_folder
from kv.errors import KvError
from kv.vault.format import APPLICATION, PAGE, PAGES_MAX, VERSION, damaged

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPANIONS = ("-wal", "-shm", "-journal")

_SQLITE = b"SQLite format 3\0"
_HEADER = 100  # bytes (sqlite.org/fileformat2.html, section 1.3)

Identity = tuple[int, int]

_held: set[Identity] = set()


def identity(path: str) -> Identity:
    """Which file stands at `path`; (0, 0) for none."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def hold(path: str) -> Identity:
    """Note that this process has the vault open. Raises `KvError("vault-busy")` if it has already."""
    found = identity(path)
    if found in _held:
        raise KvError("vault-busy")
    _held.add(found)
    return found


def let_go(held: Identity) -> None:
    """Note that it is closed."""
    _held.discard(held)


def size(path: str) -> int:
    """Bytes; 0 for no file. Without opening it: see the rules."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def has_companions(path: str) -> bool:
    """Whether SQLite, or somebody, left a journal beside the file."""
    return any(os.path.lexists(path + suffix) for suffix in COMPANIONS)


def check_place(path: str) -> None:
    """Raise `KvError("vault-missing" | "vault-unsafe" | "disk")` unless the file and its folder are ours alone."""
    try:
        _check_folder(os.path.dirname(path))
        _check_file(os.lstat(path))
        for suffix in COMPANIONS:
            if os.path.lexists(path + suffix):
                _check_file(os.lstat(path + suffix))
    except FileNotFoundError:
        raise KvError("vault-missing", path=path) from None
    except OSError as error:
        raise disk("open", path, error) from None


def _check_folder(folder: str) -> None:
    found = os.stat(folder)
    if found.st_uid not in {os.geteuid(), 0} or found.st_mode & 0o022:
        raise KvError("vault-unsafe", why="others can write its folder")


def _check_file(found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise KvError("vault-unsafe", why="it is a symbolic link")
    if not stat.S_ISREG(found.st_mode):
        raise KvError("vault-unsafe", why="it is not a regular file")
    if found.st_uid != os.geteuid():
        raise KvError("vault-unsafe", why="it belongs to another user")
    if found.st_mode & 0o077:
        raise KvError("vault-unsafe", why="others can reach it")


def check_shape(path: str, *, whole: bool) -> None:
    """Look at SQLite's header with our own eyes. Raises `KvError("vault-foreign" | "vault-version" | "vault-damaged")`.

    `whole`: nothing was left beside the file, so its size must be what the header says to the byte.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            header, size = os.pread(descriptor, _HEADER, 0), os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
    except OSError as error:
        raise disk("open", path, error) from None
    if len(header) < _HEADER or header[:16] != _SQLITE or _number(header, 68) != APPLICATION:
        raise KvError("vault-foreign", path=path)
    if _number(header, 60) != VERSION:
        raise KvError("vault-version", version=_number(header, 60))
    if header[16:18] != PAGE.to_bytes(2, "big") or header[20] or size > PAGES_MAX * PAGE:
        raise damaged("its pages have another size, or too many")
    if whole and (size != _number(header, 28) * PAGE or header[24:28] != header[92:96]):
        raise damaged("it is cut short, or something was added at its end")


def _number(header: bytes, at: int) -> int:
    return int.from_bytes(header[at : at + 4], "big")


@contextmanager
def creating(path: str) -> Iterator[str]:
    """A name beside `path` to build a file under; it appears at `path` whole, or not at all.

    Raises `KvError("vault-exists" | "disk" | "disk-full")`. The folder is made, for us alone, where it is missing.
    """
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.urandom(4).hex()}")
    try:
        if os.path.lexists(path):
            raise KvError("vault-exists", path=path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _check_folder(folder)
        os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        try:
            yield temporary
            os.link(temporary, path)  # unlike a rename, never replaces what another process made meanwhile
        finally:
            os.unlink(temporary)
        sync_folder(folder)
    except FileExistsError:
        raise KvError("vault-exists", path=path) from None
    except OSError as error:
        raise disk("create", path, error) from None


def disk(act: str, path: str, error: OSError) -> KvError:
    """`disk` or `disk-full` for a failure of the system's."""
    from errno import EDQUOT, ENOSPC

    if error.errno in {ENOSPC, EDQUOT}:
        return KvError("disk-full")
    return KvError("disk", act=act, path=path, why=os.strerror(error.errno or 0))

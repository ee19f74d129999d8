"""`save`: a new file beneath the folder whose descriptor the client passed, and nowhere else.

Rules of this file
- Every step is relative to a descriptor and refuses links (`O_NOFOLLOW`), so a folder swapped for a link between
  check and use leads nowhere. No `..`, no dot-folders or dot-files (`.git/hooks`, `.bashrc`), create only.
- What is written has been redacted; a result that is withheld leaves no file.
"""

from __future__ import annotations

import contextlib
import os

from kv.errors import KvError

_MAX_BYTES = 256 << 20  # a saved answer: enough for an export, too little to fill memory or a disk in one call
_CHUNK = 1 << 20
_MAX_PARTS = 16
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def check_path(path: str) -> tuple[str, ...]:
    """The parts of a relative path that `save` may name. Raises `KvError("save")`."""
    parts = tuple(path.split("/"))
    if not path or len(parts) > _MAX_PARTS or not all(_plain(part) for part in parts):
        raise KvError("save", why="the path must be relative, without dot-files, '..' and control characters")
    return parts


def _plain(part: str) -> bool:
    return bool(part) and not part.startswith(".") and part.isprintable() and len(os.fsencode(part)) <= 255  # noqa: PLR2004 - NAME_MAX


class SavedFile:
    """A file to be. `write` redacted bytes, then `keep` them; `close` in any case.

    Until it is kept, what was written lies in memory that no other process can open: a result that is withheld in
    the end must not have stood in the agent's folder meanwhile, where a hard link would have kept it.
    """

    def __init__(self, folder: int, path: str) -> None:
        *folders, self._name = check_path(path)
        self.size = 0
        self._folder = _descend(folder, folders)
        self._spool = os.memfd_create("save", os.MFD_CLOEXEC)

    def write(self, data: bytes) -> None:
        """Append. Raises `KvError("save")`."""
        self.size += len(data)
        if self.size > _MAX_BYTES:
            raise KvError("save", why="it is larger than 256 MiB")
        _write(self._spool, data)

    def keep(self) -> None:
        """The result is whole and not withheld: make the file. Raises `KvError("save")`; then there is none."""
        try:
            file = os.open(self._name, _NEW, 0o600, dir_fd=self._folder)
        except OSError as error:
            raise KvError("save", why=_reason(error)) from None
        try:
            at = 0
            while at < self.size and (data := os.pread(self._spool, _CHUNK, at)):
                _write(file, data)
                at += len(data)
        except KvError:
            with contextlib.suppress(OSError):
                os.unlink(self._name, dir_fd=self._folder)
            raise
        finally:
            os.close(file)

    def close(self) -> None:
        """Forget what was not kept."""
        os.close(self._spool)
        os.close(self._folder)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError as error:
        raise KvError("save", why=_reason(error)) from None


def _descend(folder: int, parts: list[str]) -> int:
    here = os.dup(folder)
    try:
        for part in parts:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
    except OSError as error:
        os.close(here)
        raise KvError("save", why=_reason(error)) from None
    return here


def _reason(error: OSError) -> str:
    """A reason of ours for an `errno`: the system's text may quote the path."""
    import errno

    return {
        errno.EEXIST: "the file exists already",
        errno.ENOENT: "its folder does not exist",
        errno.ELOOP: "a part of the path is a link",
        errno.ENOTDIR: "a part of the path is a link or no folder",
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "the folder may not be written",
        errno.EROFS: "the folder may not be written",
    }.get(error.errno or 0, "the system refused it")
